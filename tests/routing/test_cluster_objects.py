"""What the door leaves in a cluster, in the stand-in and, with `-m cluster`, in a real one alike (POD-56 to POD-71)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routing import cluster, manifests
from routing.cluster import Seen
from routing.errors import ClusterRejected, ClusterUnavailable
from routing.pod import cluster_api, cluster_reaper
from sessions_app import clock
from tests.clients import Api
from tests.commands import run
from tests.factories import make_token
from tests.routing import real_cluster
from tests.routing.kube import Kube
from tests.routing.real_cluster import HOSTILE, RealCluster
from tests.routing.world import until

SESSION, USER = "sess_0123456789abcdef", "u1"
OTHER = "sess_00000000000000ff"
NAME = manifests.name_of(SESSION)


@pytest.fixture(params=["kubernetes", pytest.param("cluster", marks=pytest.mark.cluster)])
def held(request: Any, tmp_path: Path, settings: Any) -> Iterator[Kube | RealCluster]:
    """A cluster without a worker of Baton's."""
    settings.POD_DRIVER, settings.USER_POD_IMAGE = "kubernetes", "registry.example/agent:1"
    found: Kube | RealCluster
    if request.param == "kubernetes":
        found = Kube().start()
        settings.KUBECONFIG = found.kubeconfig(tmp_path)
    else:
        found = RealCluster()
        settings.KUBECONFIG, settings.PODS_NAMESPACE = real_cluster.kubeconfig(), found.namespace
    cluster_api.close()
    yield found
    found.close()
    cluster_api.close()


def all_of(held: Kube | RealCluster) -> list[Any]:
    """Every object with our label."""
    return [one for plural in ("deployments", "services", "scaledobjects") for one in held.of(plural)]


def only(held: Kube | RealCluster, plural: str) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = held.of(plural)
    return dict(found)


@pytest.mark.parametrize("user_id", [USER, *HOSTILE], ids=lambda user_id: str(user_id)[:8])
def test_objects_are_stored_as_the_contract_shows_them(held: Kube | RealCluster, user_id: str) -> None:
    """POD-56, POD-57: every field with its value; what the server adds are defaults and its own members."""
    assert cluster.prepare(SESSION, user_id)
    at, deployment = cluster.installation(), only(held, "deployments")
    uid = deployment["metadata"]["uid"]
    assert_holds(deployment, manifests.deployment(SESSION, user_id, at=at, replicas=0))
    assert_holds(only(held, "services"), manifests.service(SESSION, user_id, at=at, owner_uid=uid))
    assert_holds(only(held, "scaledobjects"), manifests.scaled_object(SESSION, user_id, at=at, owner_uid=uid))
    for one in (*all_of(held), deployment["spec"]["template"]):
        assert one["metadata"]["labels"] == manifests.labels(SESSION, user_id)


def assert_holds(stored: Any, sent: Any, path: str = "") -> None:
    """Raises AssertionError where a member of `sent` is missing or differs; lists are equally long."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            if not path and name in ("apiVersion", "kind"):
                continue  # a list does not repeat them
            assert name in stored, f"{path}.{name} is missing"
            assert_holds(stored[name], value, f"{path}.{name}")
    elif isinstance(sent, list):
        assert len(stored) == len(sent), path
        for number, (one, value) in enumerate(zip(stored, sent, strict=True)):
            assert_holds(one, value, f"{path}[{number}]")
    else:
        assert stored == sent, path


def test_prepare_again_keeps_what_keda_set(held: Kube | RealCluster) -> None:
    """POD-60: an apply without replicas takes nothing back."""
    cluster.prepare(SESSION, USER)
    uid = only(held, "deployments")["metadata"]["uid"]
    held.change("deployments", NAME, {"spec": {"replicas": 1}})
    assert not cluster.prepare(SESSION, USER)
    found = only(held, "deployments")
    assert (found["metadata"]["uid"], found["spec"]["replicas"]) == (uid, 1)


def test_name_of_another_is_left_alone(held: Kube | RealCluster) -> None:
    """POD-60."""
    cluster.prepare(SESSION, USER)
    held.change("deployments", NAME, {"metadata": {"labels": {"session-uuid": "someone-elses"}}})
    before = only(held, "deployments")
    with pytest.raises(ClusterRejected):
        cluster.wake(SESSION, USER)
    after = only(held, "deployments")
    assert (after["spec"], after["metadata"]["labels"]) == (before["spec"], before["metadata"]["labels"])


def test_member_that_the_schema_does_not_know_is_refused(held: Kube | RealCluster, monkeypatch: Any) -> None:
    """POD-11, POD-59, POD-66: an apply of it is a 500, and nothing of the pod is left."""
    whole = manifests.scaled_object
    monkeypatch.setattr(manifests, "scaled_object", lambda *told, **more: {**whole(*told, **more), "spec": {"typo": 1}})
    with pytest.raises(ClusterUnavailable) as raised:
        cluster.prepare(SESSION, USER)
    assert "failed to create typed patch object" in str(raised.value.__cause__)
    assert not all_of(held)


def test_wake_and_sleep(held: Kube | RealCluster) -> None:
    """POD-61, POD-62."""
    cluster.wake(SESSION, USER)
    assert cluster.look(SESSION) == Seen(SESSION, wanted=1, ready=0)
    cluster.scale(SESSION, 0)
    assert cluster.deployments() == cluster.deployments([SESSION]) == [Seen(SESSION, wanted=0, ready=0)]
    assert cluster.deployments([OTHER]) == []


@pytest.mark.parametrize("plural", ["deployments", "services", "scaledobjects"])
def test_wake_makes_again_what_is_missing(held: Kube | RealCluster, plural: str) -> None:
    """POD-63: also while the cluster still collects what a Deployment left behind."""
    cluster.prepare(SESSION, USER)
    held.remove(plural, only(held, plural)["metadata"]["name"])

    def whole() -> bool:
        cluster.wake(SESSION, USER)
        return len(all_of(held)) == 3

    until(whole)
    uid = only(held, "deployments")["metadata"]["uid"]
    for one in (only(held, "services"), only(held, "scaledobjects")):
        assert [owner["uid"] for owner in one["metadata"]["ownerReferences"]] == [uid]
    assert cluster.look(SESSION) == Seen(SESSION, wanted=1, ready=0)


def test_change_of_the_installation_reaches_old_pods(held: Kube | RealCluster, settings: Any) -> None:
    """POD-56, POD-60: the next wake applies it, and nothing of before is left."""
    settings.REDIS_URL = "redis://:secret@redis.example:6379/0"
    cluster.prepare(SESSION, USER)
    assert "authenticationRef" in only(held, "scaledobjects")["spec"]["triggers"][0]

    settings.REDIS_URL, settings.USER_POD_PORT = "redis://redis.example:6379/3", 2222
    settings.USER_POD_IMAGE = "registry.example/agent:2"
    cluster.wake(SESSION, USER)

    at, uid = cluster.installation(), only(held, "deployments")["metadata"]["uid"]
    assert_holds(only(held, "deployments"), manifests.deployment(SESSION, USER, at=at, replicas=1))
    assert_holds(only(held, "scaledobjects"), manifests.scaled_object(SESSION, USER, at=at, owner_uid=uid))
    assert all("authenticationRef" not in one for one in only(held, "scaledobjects")["spec"]["triggers"])


def test_delete_leaves_nothing_and_may_be_repeated(held: Kube | RealCluster) -> None:
    """POD-27, POD-58."""
    cluster.prepare(SESSION, USER)
    cluster.delete(SESSION)
    assert not all_of(held)
    cluster.delete(SESSION)
    assert cluster.look(SESSION) is None
    assert cluster.prepare(SESSION, USER)


def test_lists_come_whole_over_pages(held: Kube | RealCluster, monkeypatch: Any) -> None:
    """POD-62, POD-71."""
    monkeypatch.setattr(cluster, "PAGE", 2)
    ids = {f"sess_000000000000000{number}" for number in range(5)}
    for session_id in ids:
        cluster.prepare(session_id, USER)
    assert {seen.session_id for seen in cluster.deployments()} == ids
    found = cluster.objects()
    assert len(found) == 15
    assert all(-5 < (clock.now() - one.created_at).total_seconds() < 60 for one in found)
    named = sorted(ids)[1:4]
    assert {seen.session_id for seen in cluster.deployments(named)} == set(named)
    cluster.ping()


def test_orphans_go_once_they_are_old(held: Kube | RealCluster, db: None, monkeypatch: Any) -> None:
    """POD-71: only with our label, only without a pod row; a second pass finds nothing (POD-72)."""
    kept = Api(make_token(USER)).post("/session/create", {"user_id": USER}).json()["uuid"]
    cluster.prepare(SESSION, USER)
    cluster.prepare(OTHER, USER)
    foreign = manifests.name_of(OTHER)
    held.change("deployments", foreign, {"metadata": {"labels": {manifests.MANAGED_BY: None}}})
    assert list(cluster_reaper.orphans()) == []

    monkeypatch.setattr(cluster_reaper, "ORPHAN_AFTER_S", -5)
    acts = list(cluster_reaper.orphans())
    assert {(act.act, act.failed) for act in acts} == {("remove", False)}
    assert {act.session_id for act in acts} == {SESSION, OTHER}
    ours = [one for one in all_of(held) if manifests.MANAGED_BY in one["metadata"]["labels"]]
    assert {one["metadata"]["labels"]["session-uuid"] for one in ours} == {kept}
    held.change("deployments", foreign, {"metadata": {"labels": {manifests.MANAGED_BY: "baton"}}})  # it was not touched
    assert list(cluster_reaper.orphans(dry_run=True)) != []
    list(cluster_reaper.orphans())
    assert list(cluster_reaper.orphans()) == []


def test_cleanup_mends_both_sides(held: Kube | RealCluster, db: None, monkeypatch: Any) -> None:
    """POD-69 to POD-72: a row without a Deployment, objects without a row; a second pass finds nothing."""
    monkeypatch.setattr(cluster_reaper, "ORPHAN_AFTER_S", -5)
    api = Api(make_token(USER))
    session_id = api.post("/session/create", {"user_id": USER}).json()["uuid"]
    api.post(f"/session/{session_id}/wake", {})
    cluster.delete(session_id)
    cluster.prepare(SESSION, USER)

    code, told = run("cleanup_pods", "--dry-run")
    assert (code, len(held.of("deployments"))) == (0, 1)
    said = [f"remove {SESSION} {kind}" for kind in ("scaledobject", "deployment", "service")]
    assert told[:-1] == [f"would-{line}" for line in (f"repair {session_id} no_deployment", *said)]

    code, done = run("cleanup_pods")
    assert (code, done[-1]) == (0, "expired=0 terminated=0 orphans=3 repaired=1 failed=0")
    assert only(held, "deployments")["metadata"]["labels"]["session-uuid"] == session_id
    assert (only(held, "deployments")["spec"]["replicas"], len(all_of(held))) == (1, 3)
    assert run("cleanup_pods") == (0, ["expired=0 terminated=0 orphans=0 repaired=0 failed=0"])
