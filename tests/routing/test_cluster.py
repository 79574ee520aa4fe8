"""routing/cluster.py against a strict stand-in of the Kubernetes API (POD-59 to POD-67)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import lifespan
from routing import cluster, manifests
from routing.errors import ClusterForbidden, ClusterFull, ClusterRejected, ClusterUnavailable
from routing.models import Pod
from routing.pod import cluster_api, pod_health
from sessions_app.kinds import DomainError
from sessions_app.models import Session
from tests.clients import Api
from tests.factories import make_token
from tests.routing.kube import RIGHTS, Kube
from tests.routing.world import until

SESSION, USER = "sess_0123456789abcdef", "user@example.com"
NAME = "user-sess-0123456789abcdef"


@pytest.fixture
def kube(tmp_path: Path, settings: Any) -> Iterator[Kube]:
    found = Kube().start()
    settings.POD_DRIVER, settings.USER_POD_IMAGE = "kubernetes", "registry.example/agent:1"
    settings.KUBECONFIG = found.kubeconfig(tmp_path)
    cluster_api.close()
    yield found
    found.close()
    cluster_api.close()


def test_prepare_that_fails_half_way_leaves_nothing(kube: Kube) -> None:
    """POD-11: what its own POST created is deleted again; KEDA is not installed here."""
    kube.fault = lambda verb, what: (404, "no such group") if (verb, what) == ("patch", "scaledobjects") else None
    with pytest.raises(ClusterRejected):
        cluster.prepare(SESSION, USER)
    assert not kube.objects


def test_a_process_that_ends_closes_its_connections(kube: Kube) -> None:
    """And what is asked later opens them anew."""
    for _ in range(2):
        cluster.prepare(SESSION, USER)
        assert kube.connected
        asyncio.run(lifespan._close_driver())
        until(lambda: not kube.connected)


def test_prepare_that_fails_leaves_what_was_there(kube: Kube) -> None:
    """POD-11: and nothing else."""
    cluster.prepare(SESSION, USER)
    kube.fault = lambda verb, what: (500, "oops") if (verb, what) == ("patch", "services") else None
    with pytest.raises(ClusterUnavailable):
        cluster.prepare(SESSION, USER)
    assert len(kube.objects) == 3


def test_wake_and_sleep_change_the_scale_alone(kube: Kube) -> None:
    """POD-61: a merge patch of one number, without a version; absent is 0."""
    cluster.wake(SESSION, USER)
    assert cluster.look(SESSION) == cluster.Seen(SESSION, wanted=1, ready=0)
    cluster.scale(SESSION, 0)
    assert kube.scaled == [(NAME, 1), (NAME, 0)]
    assert cluster.deployments() == [cluster.Seen(SESSION, wanted=0, ready=0)]


def test_scale_to_nothing_of_what_is_gone_is_done(kube: Kube) -> None:
    """A Deployment that is gone has no replicas."""
    cluster.scale(SESSION, 0)
    with pytest.raises(ClusterRejected):
        cluster.scale(SESSION, 1)


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "strict decoding error", ClusterRejected),
        (401, "Unauthorized", ClusterForbidden),
        (403, "forbidden", ClusterForbidden),
        (403, 'pods "x" is forbidden: exceeded quota: q', ClusterFull),
        (404, "not found", ClusterRejected),
        (405, "no", ClusterRejected),
        (408, "slow", ClusterUnavailable),
        (410, "gone", ClusterUnavailable),
        (415, "media", ClusterRejected),
        (422, "invalid", ClusterRejected),
        (429, "slow down", ClusterUnavailable),
        (500, "oops", ClusterUnavailable),
        (503, "away", ClusterUnavailable),
        (504, "timeout", ClusterUnavailable),
    ],
)
def test_answers_become_our_errors(kube: Kube, status: int, message: str, error: type[DomainError]) -> None:
    """POD-66."""
    kube.fault = lambda verb, what: (status, message)
    with pytest.raises(error) as raised:
        cluster.prepare(SESSION, USER)
    assert message not in raised.value.detail  # POD-3: no text of Kubernetes
    waits: dict[type[DomainError], int] = {ClusterFull: 60, ClusterUnavailable: 5}
    assert raised.value.retry_after == waits.get(error)


def test_unreachable_becomes_unavailable(kube: Kube) -> None:
    """POD-66."""
    kube.stop()
    with pytest.raises(ClusterUnavailable):
        cluster.prepare(SESSION, USER)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (503, "", b""),
        (502, "text/html", b"<h1>Bad Gateway</h1>"),
        (503, "application/json", b"<h1>no JSON</h1>"),
        (200, "text/html", b"<h1>Sign in</h1>"),
    ],
)
def test_what_stands_in_between_is_not_the_cluster(kube: Kube, status: int, content_type: str, body: bytes) -> None:
    """POD-66: a load balancer or proxy that answers in place of the API."""
    kube.in_between = status, content_type, body
    with pytest.raises(ClusterUnavailable):
        cluster.prepare(SESSION, USER)
    with pytest.raises(ClusterUnavailable):
        cluster.deployments()


@pytest.mark.parametrize(("failures", "tries"), [(1, 2), (2, 2)])
def test_reads_and_applies_are_repeated_once(kube: Kube, failures: int, tries: int) -> None:
    """POD-64: one retry on 429 or 503; a POST is not repeated."""
    left = [failures]

    def fault(verb: str, what: str) -> tuple[int, str] | None:
        left[0] -= 1
        return (503, "away") if left[0] >= 0 else None

    kube.fault = fault
    if failures < tries:
        assert cluster.deployments() == []
    else:
        with pytest.raises(ClusterUnavailable):
            cluster.deployments()
    assert len(kube.requests) == tries
    kube.requests.clear()
    left[0] = 1
    with pytest.raises(ClusterUnavailable):
        cluster.prepare(SESSION, USER)
    assert kube.requests == [("create", "deployments")]


@pytest.mark.parametrize(
    "refused", [("patch", "services"), ("patch", "deployments/scale"), ("create", "deployments")], ids=str
)
def test_conflicts_are_tried_three_times(kube: Kube, refused: tuple[str, str]) -> None:
    """POD-66: then 503; a POST's conflict counts as one where there is nothing under that name."""
    kube.fault = lambda *call: (409, "conflict") if call == refused else None
    with pytest.raises(ClusterUnavailable):
        cluster.wake(SESSION, USER)
    assert kube.requests.count(refused) == 3


def test_prepare_makes_anew_what_was_just_deleted(kube: Kube) -> None:
    """POD-60, POD-66: the name was taken when it was asked for, and free when it was looked at."""
    conflicts = [(409, "already exists")]
    kube.fault = lambda verb, what: conflicts.pop() if conflicts and verb == "create" else None
    assert cluster.prepare(SESSION, USER)
    assert len(kube.of("deployments")) == 1


def test_calls_stay_within_the_rights(kube: Kube) -> None:
    """POD-67, POD-74: every call the code makes is granted, and but for these every right is used."""
    cluster.wake(SESSION, USER)
    cluster.wake(SESSION, USER)
    cluster.look(SESSION)
    cluster.deployments([SESSION])
    cluster.objects()
    cluster.ping()
    cluster.delete(SESSION)
    made = set(kube.requests)
    assert all(verb in RIGHTS[what] for verb, what in made)
    granted = {(verb, what) for what, verbs in RIGHTS.items() for verb in verbs}
    unused = {("watch", "deployments"), *(("get", what) for what in ("deployments/scale", "services", "scaledobjects"))}
    applied = {("create", what) for what in ("services", "scaledobjects")}  # what an apply needs that makes the object
    assert granted - made - applied == unused


@pytest.mark.parametrize(
    ("url", "address", "database", "signs_in"),
    [
        ("redis://:secret@redis:6379/0", "redis.pods.svc.cluster.local:6379", "0", True),
        ("redis://10.0.0.7:7000/3", "10.0.0.7:7000", "3", False),
    ],
)
def test_installation_tells_keda_where_redis_is(
    settings: Any, url: str, address: str, database: str, signs_in: bool
) -> None:
    """POD-57."""
    settings.REDIS_URL, settings.PODS_NAMESPACE = url, "pods"
    at = cluster.installation()
    (trigger, _) = manifests.scaled_object(SESSION, USER, at=at, owner_uid="u")["spec"]["triggers"]
    assert (trigger["metadata"]["address"], trigger["metadata"]["databaseIndex"]) == (address, database)
    assert ("authenticationRef" in trigger) == signs_in
    settings.KEDA_REDIS_ADDRESS = "keda-sees.example:1"
    assert cluster.installation().redis_address == "keda-sees.example:1"


def test_create_with_the_cluster_down_records_nothing(kube: Kube, db: None) -> None:
    """POD-11, POD-66, POD-76 row 10."""
    kube.stop()
    answer = Api(make_token("u1")).post("/session/create", {"user_id": "u1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "CLUSTER_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    assert not Session.objects.exists()


def test_create_that_cannot_be_recorded_leaves_no_object(kube: Kube, db: None, monkeypatch: Any) -> None:
    """POD-11."""
    monkeypatch.setattr("sessions_app.eventlog.os.fsync", _fails)
    answer = Api(make_token("u1")).post("/session/create", {"user_id": "u1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "RECORDER_UNAVAILABLE")
    assert not kube.objects
    assert not Pod.objects.exists()


def test_wake_and_status_with_the_cluster_down(kube: Kube, db: None) -> None:
    """POD-13, POD-24, POD-28: queued; null replicas; 503, and the pod stays terminating."""
    api = Api(make_token("u1"))
    session_id = api.post("/session/create", {"user_id": "u1"}).json()["uuid"]
    kube.stop()
    assert api.post(f"/session/{session_id}/wake", {}).json()["status"] == "queued"
    shown = api.get(f"/session/{session_id}/status").json()
    assert (shown["replicas"], shown["observed"]["error"]) == (None, "unreachable")
    answer = api.delete(f"/session/{session_id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "CLUSTER_UNAVAILABLE")
    assert Pod.objects.get().state == "terminating"
    kube.start()
    assert api.delete(f"/session/{session_id}").status_code == 200
    assert not kube.objects
    assert Pod.objects.get().state == "terminated"


def test_probes_tell_of_the_cluster(kube: Kube, db: None, monkeypatch: Any) -> None:
    """POD-31, OPS-26, OPS-29: shown, degraded, never a reason to be unready."""
    monkeypatch.setattr(pod_health, "REMEMBERED_S", 0.0)
    assert Api().get("/health").json()["kubernetes"] == "healthy"
    kube.stop()
    shown = Api().get("/health")
    assert (shown.status_code, shown.json()["kubernetes"]) == (200, "unhealthy")
    assert any(warning.startswith("KUBERNETES_UNHEALTHY: ") for warning in shown.json()["warnings"])
    ready = Api().get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["kubernetes"]) == (200, "unavailable")


def test_sleep_from_the_web_leaves_the_scale_to_the_worker(kube: Kube, api: Api) -> None:
    """From here it might overtake a later wake."""
    session_id = api.post("/session/create", {"user_id": "u1"}).json()["uuid"]
    kube.requests.clear()
    assert api.post(f"/session/{session_id}/sleep", {}).json()["state"] == "sleeping"
    assert kube.requests == []


def _fails(*_: Any) -> None:
    raise OSError("disk full")
