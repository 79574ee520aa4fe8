"""The three Kubernetes objects of a pod as plain dicts (POD-56, POD-57). Pure."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
SESSION_LABEL = "session-uuid"
AUTHENTICATION = "redis-auth"  # the one TriggerAuthentication of a namespace, part of deploy/k8s

_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
_USER_LABEL_CHARACTERS = 40  # with "-" and 8 hex digits well below the 63 a label may have


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for every pod of one deployment of Baton."""

    namespace: str
    image: str
    port: int
    idle_sleep_s: int
    redis_address: str  # host:port as KEDA reaches it
    redis_database: int = 0
    redis_has_password: bool = True


def name_of(session_id: str) -> str:
    """The name of the Deployment and the Service: a DNS label."""
    return f"user-{session_id.replace('_', '-')}"


def scaler_name_of(session_id: str) -> str:
    """The name of the ScaledObject."""
    return f"{name_of(session_id)}-scaler"


def labels(session_id: str, user_id: str) -> dict[str, str]:
    """The labels of every object of the session and of the pod template."""
    return {
        "app": name_of(session_id),
        SESSION_LABEL: session_id,
        "user-id": _user_label(user_id),
        "app.kubernetes.io/name": "user-pod",
        "app.kubernetes.io/part-of": "baton",
        MANAGED_BY: "baton",
    }


def redis_address(host: str, port: int, *, namespace: str) -> str:
    """`host:port` as seen from KEDA's namespace: a bare service name is made a full one (POD-57)."""
    return f"{host}:{port}" if "." in host or ":" in host else f"{host}.{namespace}.svc.cluster.local:{port}"


def deployment(session_id: str, user_id: str, *, at: Installation, replicas: int | None = None) -> Manifest:
    """The Deployment. `replicas` is named at its creation only, so that KEDA and the scale subresource keep it."""
    ours = labels(session_id, user_id)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(session_id, user_id, at=at),
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "revisionHistoryLimit": 2,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name_of(session_id)}},
            "template": {
                "metadata": {"labels": ours, "annotations": {"user-id": user_id}},
                "spec": _pod_spec(session_id, user_id, at=at),
            },
        },
    }


def first_deployment(session_id: str, user_id: str, *, at: Installation) -> Manifest:
    """The Deployment as it is first made, asleep; the apply that follows makes it whole.

    Its creator owns what it names for ever. Ports are told apart by their numbers: one that the creator named would
    still stand there, under the same name, when another is applied after a change of USER_POD_PORT, and be refused.
    """
    found = deployment(session_id, user_id, at=at, replicas=0)
    for container in found["spec"]["template"]["spec"]["containers"]:
        del container["ports"]
    return found


def service(session_id: str, user_id: str, *, at: Installation, owner_uid: str) -> Manifest:
    """The Service, collected by the cluster with the Deployment whose uid is `owner_uid`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_metadata(session_id, user_id, at=at), "ownerReferences": _owned_by(session_id, owner_uid)},
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": name_of(session_id)},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def scaled_object(session_id: str, user_id: str, *, at: Installation, owner_uid: str) -> Manifest:
    """The ScaledObject by which KEDA wakes the pod at the first message and puts it to sleep when idle."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": scaler_name_of(session_id),
            "namespace": at.namespace,
            "labels": labels(session_id, user_id),
            "ownerReferences": _owned_by(session_id, owner_uid),
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(session_id)},
            "pollingInterval": 5,
            "cooldownPeriod": at.idle_sleep_s,
            "minReplicaCount": 0,
            "maxReplicaCount": 1,
            "triggers": [_trigger(f"baton:{held}:{session_id}", at=at) for held in ("queue", "inflight")],
        },
    }


def _metadata(session_id: str, user_id: str, *, at: Installation) -> Manifest:
    return {
        "name": name_of(session_id),
        "namespace": at.namespace,
        "labels": labels(session_id, user_id),
        "annotations": {"user-id": user_id},
    }


def _user_label(user_id: str) -> str:
    start = _NOT_IN_A_LABEL.sub("-", user_id[:_USER_LABEL_CHARACTERS])
    return f"{start}-{hashlib.sha256(user_id.encode()).hexdigest()[:8]}"


def _owned_by(session_id: str, owner_uid: str) -> list[Manifest]:
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": name_of(session_id),
            "uid": owner_uid,
            "controller": False,
            "blockOwnerDeletion": False,
        }
    ]


def _pod_spec(session_id: str, user_id: str, *, at: Installation) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(session_id, user_id, at=at)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _container(session_id: str, user_id: str, *, at: Installation) -> Manifest:
    return {
        "name": "user-pod",
        "image": at.image,
        "ports": [{"name": "http", "containerPort": at.port, "protocol": "TCP"}],
        "env": [
            {"name": "SESSION_UUID", "value": session_id},
            {"name": "USER_ID", "value": user_id},
            {"name": "USER_POD_PORT", "value": str(at.port)},
            {"name": "USER_POD_HOST", "value": "0.0.0.0"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "http"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        "resources": {
            "requests": {"cpu": "250m", "memory": "256Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _trigger(list_name: str, *, at: Installation) -> Manifest:
    """A Redis trigger; KEDA activates when the length *exceeds* activationListLength, hence "0"."""
    found: Manifest = {
        "type": "redis",
        "metadata": {
            "address": at.redis_address,
            "listName": list_name,
            "listLength": "1",
            "activationListLength": "0",
            "databaseIndex": str(at.redis_database),
        },
    }
    return {**found, "authenticationRef": {"name": AUTHENTICATION}} if at.redis_has_password else found
