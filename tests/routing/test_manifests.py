"""routing/manifests.py against POD-56 and POD-57."""

import kubernetes_validate
import pytest
import yaml

from routing import manifests
from routing.manifests import Installation

SESSION, USER = "sess_0123456789abcdef", "user@example.com"
HERE = Installation(
    namespace="default",
    image="registry.example/agent:1",
    port=1111,
    idle_sleep_s=120,
    redis_address="redis.default.svc.cluster.local:6379",
)
OWNER = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "name": "user-sess-0123456789abcdef",
    "uid": "7f3a",
    "controller": False,
    "blockOwnerDeletion": False,
}
LABELS = {
    "app": "user-sess-0123456789abcdef",
    "session-uuid": SESSION,
    "user-id": "user-example.com-b4c9a289",
    "app.kubernetes.io/name": "user-pod",
    "app.kubernetes.io/part-of": "baton",
    "app.kubernetes.io/managed-by": "baton",
}
# POD-56 as printed in the contract.
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: user-sess-0123456789abcdef
  namespace: default
  labels: &labels
    app: user-sess-0123456789abcdef
    session-uuid: sess_0123456789abcdef
    user-id: user-example.com-b4c9a289
    app.kubernetes.io/name: user-pod
    app.kubernetes.io/part-of: baton
    app.kubernetes.io/managed-by: baton
  annotations: {user-id: user@example.com}
spec:
  replicas: 0
  revisionHistoryLimit: 2
  strategy: {type: Recreate}
  selector: {matchLabels: {app: user-sess-0123456789abcdef}}
  template:
    metadata:
      labels: *labels
      annotations: {user-id: user@example.com}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000,
        seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: user-pod
        image: registry.example/agent:1
        ports: [{name: http, containerPort: 1111, protocol: TCP}]
        env:
        - {name: SESSION_UUID, value: sess_0123456789abcdef}
        - {name: USER_ID, value: user@example.com}
        - {name: USER_POD_PORT, value: "1111"}
        - {name: USER_POD_HOST, value: 0.0.0.0}
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 3}
        resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: 500m, memory: 512Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes:
      - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
"""


def test_deployment_is_the_contracts() -> None:
    """POD-56."""
    assert manifests.deployment(SESSION, USER, at=HERE, replicas=0) == yaml.safe_load(DEPLOYMENT)


def test_deployment_without_replicas_leaves_only_them_out() -> None:
    """POD-60: KEDA and the scale subresource keep the count."""
    created = manifests.deployment(SESSION, USER, at=HERE, replicas=0)
    applied = manifests.deployment(SESSION, USER, at=HERE)
    del created["spec"]["replicas"]
    assert applied == created


def test_service_is_the_contracts() -> None:
    """POD-56."""
    assert manifests.service(SESSION, USER, at=HERE, owner_uid="7f3a") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "user-sess-0123456789abcdef",
            "namespace": "default",
            "labels": LABELS,
            "annotations": {"user-id": USER},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": "user-sess-0123456789abcdef"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def test_scaled_object_is_the_contracts() -> None:
    """POD-56, POD-57."""
    address = "redis.default.svc.cluster.local:6379"
    same = {"address": address, "listLength": "1", "activationListLength": "0", "databaseIndex": "0"}
    assert manifests.scaled_object(SESSION, USER, at=HERE, owner_uid="7f3a") == {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": "user-sess-0123456789abcdef-scaler",
            "namespace": "default",
            "labels": LABELS,
            "ownerReferences": [OWNER],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "user-sess-0123456789abcdef"},
            "pollingInterval": 5,
            "cooldownPeriod": 120,
            "minReplicaCount": 0,
            "maxReplicaCount": 1,
            "triggers": [
                {
                    "type": "redis",
                    "metadata": {**same, "listName": f"baton:{held}:{SESSION}"},
                    "authenticationRef": {"name": "redis-auth"},
                }
                for held in ("queue", "inflight")
            ],
        },
    }


def test_scaled_object_without_password_has_no_authentication() -> None:
    """POD-57."""
    here = Installation("default", "agent:1", 1111, 120, "r:6379", redis_has_password=False)
    triggers = manifests.scaled_object(SESSION, USER, at=here, owner_uid="7f3a")["spec"]["triggers"]
    assert all("authenticationRef" not in trigger for trigger in triggers)


@pytest.mark.parametrize("version", ["1.29", "1.37"])
@pytest.mark.parametrize("session_id", [SESSION, "0b6f7c1e-6a59-4a0c-9d0f-6c1f2b1f5a77"])
def test_objects_pass_the_servers_schema(version: str, session_id: str) -> None:
    """POD-74: strict, for the oldest and the newest version."""
    for manifest in (
        manifests.deployment(session_id, USER, at=HERE, replicas=0),
        manifests.service(session_id, USER, at=HERE, owner_uid="7f3a"),
    ):
        assert kubernetes_validate.validate(manifest, version, strict=True) == version


@pytest.mark.parametrize("user_id", ["a" * 128, "a+b@c.d", "A-", "x" * 39 + "@", "0" + "." * 127, "user@example.com"])
def test_labels_of_hostile_users_are_labels(user_id: str) -> None:
    """POD-56: at most 63 characters, alphanumeric at both ends, and no two users alike."""
    label = manifests.labels(SESSION, user_id)["user-id"]
    assert len(label) <= 63
    assert label[0].isalnum()
    assert label[-1].isalnum()
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert label != manifests.labels(SESSION, user_id + "x")["user-id"]


@pytest.mark.parametrize(
    ("host", "seen_by_keda"),
    [("redis", "redis.pods.svc.cluster.local:6379"), ("10.0.0.7", "10.0.0.7:6379"), ("r.example", "r.example:6379")],
)
def test_redis_address_of_a_bare_host_is_made_full(host: str, seen_by_keda: str) -> None:
    """POD-57: KEDA runs in a namespace of its own."""
    assert manifests.redis_address(host, 6379, namespace="pods") == seen_by_keda
