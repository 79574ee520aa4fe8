"""Door to Kubernetes, by lightkube (POD-60 to POD-67). Only POD_DRIVER=kubernetes imports it.

Callers learn of the Cluster errors alone; what the API said goes to the log under the request id. No call may be made
inside a database transaction (POD-65).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from django.conf import settings
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from routing import manifests
from routing.errors import ClusterRejected, ClusterUnavailable
from routing.manifests import Installation, Manifest
from routing.pod.cluster_api import CONFLICT_TRIES, client, translated
from sessions_app import clock
from sessions_app.kinds import DomainError

CREATOR, APPLIER = "baton-init", "baton"  # field managers (POD-60)
PAGE = 500

Deployment: Any = create_namespaced_resource("apps", "v1", "Deployment", "deployments")
Service: Any = create_namespaced_resource("", "v1", "Service", "services")
ScaledObject: Any = create_namespaced_resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
KINDS = (ScaledObject, Deployment, Service)  # in the order in which they are deleted (POD-27)

_OURS = {manifests.MANAGED_BY: "baton"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A Deployment as the API shows it; an absent count is 0."""

    session_id: str
    wanted: int
    ready: int


@dataclass(frozen=True, slots=True)
class Found:
    """Any object with our label."""

    kind: str
    name: str
    session_id: str
    created_at: dt.datetime


def prepare(session_id: str, user_id: str) -> bool:
    """Make the three objects of a sleeping pod; whether this call made the Deployment.

    If it did and the rest fails, what it made is deleted again (POD-11). Raises the Cluster errors.
    """
    with translated("prepare", session_id):
        made, uid = _post_deployment(session_id, user_id)
        try:
            _apply_all(session_id, user_id, uid)
        except Exception:
            if made:
                discard(session_id)
            raise
    return made


def wake(session_id: str, user_id: str) -> None:
    """Make what is missing and ask for one replica (POD-61, POD-63). Raises the Cluster errors."""
    prepare(session_id, user_id)
    scale(session_id, 1)


def scale(session_id: str, replicas: int) -> None:
    """Change the scale subresource alone; a Deployment that is gone has no replicas. Raises the Cluster errors."""
    with translated("scale", session_id):
        try:
            client().patch(
                Deployment.Scale,
                manifests.name_of(session_id),
                {"spec": {"replicas": replicas}},
                patch_type=PatchType.MERGE,
            )
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 404 or replicas:
                raise


def delete(session_id: str) -> None:
    """Delete the three objects; one that is gone counts as deleted. Raises the Cluster errors."""
    for kind in KINDS:
        name = manifests.scaler_name_of(session_id) if kind is ScaledObject else manifests.name_of(session_id)
        delete_one(kind.__name__, name)


def delete_one(kind: str, name: str) -> None:
    """Delete one object by kind and name. Raises the Cluster errors."""
    resource = next(one for one in KINDS if one.__name__ == kind)
    with translated("delete", name):
        try:
            client().delete(resource, name, cascade=CascadeType.BACKGROUND)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise


def discard(session_id: str) -> None:
    """Delete what prepare made, as far as it goes; the rest is an orphan (POD-71)."""
    try:
        delete(session_id)
    except DomainError:
        log.warning("cluster.not_discarded", session_id=session_id)


def look(session_id: str) -> Seen | None:
    """One Deployment, within 2 s; None if there is none. Raises the Cluster errors."""
    with translated("look", session_id):
        found = _deployment(client(quick=True), session_id)
    return None if found is None else _seen(found)


def deployments(session_ids: Sequence[str] | None = None) -> list[Seen]:
    """The Deployments with our label, all or those of some sessions. Raises the Cluster errors."""
    labels: dict[str, Any] = dict(_OURS)
    if session_ids is not None:
        labels[manifests.SESSION_LABEL] = list(session_ids)
    with translated("list", "deployments"):
        return [_seen(one) for one in client().list(Deployment, labels=labels, chunk_size=PAGE)]


def objects() -> list[Found]:
    """Every object of the three kinds with our label. Raises the Cluster errors."""
    with translated("list", "objects"):
        return [
            Found(
                kind=kind.__name__,
                name=one["metadata"]["name"],
                session_id=one["metadata"]["labels"].get(manifests.SESSION_LABEL, ""),
                created_at=clock.parse(one["metadata"]["creationTimestamp"]),
            )
            for kind in KINDS
            for one in client().list(kind, labels=dict(_OURS), chunk_size=PAGE)
        ]


def ping() -> None:
    """Whether the API answers and lets us read, within 2 s. Raises the Cluster errors."""
    with translated("ping", "deployments"):
        next(iter(client(quick=True).list(Deployment, labels=dict(_OURS), chunk_size=1)), None)


def installation() -> Installation:
    """What the settings say of every pod."""
    server = urlsplit(settings.REDIS_URL)
    address = settings.KEDA_REDIS_ADDRESS or manifests.redis_address(
        server.hostname or "127.0.0.1", server.port or 6379, namespace=settings.PODS_NAMESPACE
    )
    return Installation(
        namespace=settings.PODS_NAMESPACE,
        image=settings.USER_POD_IMAGE,
        port=settings.USER_POD_PORT,
        idle_sleep_s=round(settings.POD_IDLE_SLEEP_S),
        redis_address=address,
        redis_database=int(server.path.strip("/") or 0),
        redis_has_password=bool(server.password),
    )


def _post_deployment(session_id: str, user_id: str) -> tuple[bool, str]:
    """Whether the Deployment was made here, and its uid."""
    manifest = manifests.first_deployment(session_id, user_id, at=installation())
    for _ in range(CONFLICT_TRIES):
        try:
            made = client().create(Deployment.from_dict(manifest), field_manager=CREATOR)
            return True, str(made["metadata"]["uid"])
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 409:
                raise
        if (found := _deployment(client(), session_id)) is not None:
            return False, _uid_of_ours(found, session_id)
    raise ClusterUnavailable  # neither there nor to be made: it was just deleted, or a quota is being counted


def _deployment(api: Client, session_id: str) -> Any:
    """The session's Deployment, or None."""
    try:
        return api.get(Deployment, manifests.name_of(session_id))
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise


def _uid_of_ours(deployment: Any, session_id: str) -> str:
    """Raises ClusterRejected for a Deployment that is not the session's."""
    if deployment["metadata"].get("labels", {}).get(manifests.SESSION_LABEL) != session_id:
        log.error("cluster.name_taken", session_id=session_id)
        raise ClusterRejected
    return str(deployment["metadata"]["uid"])


def _apply_all(session_id: str, user_id: str, owner_uid: str) -> None:
    at = installation()
    _apply(Deployment, manifests.deployment(session_id, user_id, at=at))
    _apply(Service, manifests.service(session_id, user_id, at=at, owner_uid=owner_uid))
    _apply(ScaledObject, manifests.scaled_object(session_id, user_id, at=at, owner_uid=owner_uid))


def _apply(kind: Any, manifest: Manifest) -> None:
    """Server-side apply."""
    client().apply(kind.from_dict(manifest), field_manager=APPLIER, force=True)


def _seen(deployment: Any) -> Seen:
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    return Seen(
        session_id=deployment["metadata"]["labels"].get(manifests.SESSION_LABEL, ""),
        wanted=spec.get("replicas", 1),
        ready=status.get("readyReplicas", 0),
    )
