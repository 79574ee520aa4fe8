"""The repairs that only Kubernetes needs (POD-70, POD-71): rows without objects, objects without rows."""

import datetime as dt
from collections.abc import Iterator
from functools import partial

from routing import cluster
from routing.cluster import Found
from routing.models import Pod
from routing.pod.pod_states import State
from routing.pod.repairs import Act, Repair, attempt
from sessions_app import clock

ORPHAN_AFTER_S = 300  # POD-71: younger objects may belong to a create that has not committed yet


def awake_without_deployment(dry_run: bool = False) -> Iterator[Act]:
    """Make and wake again what ought to be awake and is not there. Raises the Cluster errors."""
    there = {seen.session_id for seen in cluster.deployments()}
    awake = Pod.objects.filter(state__in=[State.WAKING, State.RUNNING, State.DRAINING])
    for session_id, user_id in list(awake.values_list("session_id", "session__user_id")):
        if session_id not in there:
            yield from attempt("repair", session_id, "no_deployment", dry_run, partial(_wake, session_id, user_id))


def orphans(dry_run: bool = False) -> Iterator[Act]:
    """Delete the objects with our label that no standing pod has. Raises the Cluster errors."""
    old = clock.now() - dt.timedelta(seconds=ORPHAN_AFTER_S)
    found = [one for one in cluster.objects() if one.created_at < old]
    owned = Pod.objects.present().filter(session_id__in={one.session_id for one in found})
    with_owner = set(owned.values_list("session_id", flat=True))
    for one in found:
        if one.session_id not in with_owner:
            yield from attempt("remove", one.session_id or one.name, one.kind.lower(), dry_run, partial(_delete, one))


REPAIRS: tuple[Repair, ...] = (awake_without_deployment, orphans)


def _wake(session_id: str, user_id: str) -> bool:
    cluster.wake(session_id, user_id)
    return True


def _delete(one: Found) -> bool:
    cluster.delete_one(one.kind, one.name)
    return True
