"""Door to the locks of pods: a pod or a message with all it belongs to, locked and read in one round trip.

Every writer takes its locks here and in one order: session, pod, message (SES-44). Plain SQL, because the ORM spends
more time on composing these wide rows than PostgreSQL on reading them.
"""

from functools import cache
from typing import Any, TypeVar

from django.db.models import Model

from routing.models import ChatMessage, Pod
from sessions_app import prepared
from sessions_app.models import Session

Row = TypeVar("Row", bound=Model)


def lock_pod(pod_id: int) -> Pod:
    """The pod with its session. Raises Pod.DoesNotExist."""
    pod = _locked_pod("p.id = %s", pod_id)
    if pod is None:
        raise Pod.DoesNotExist
    return pod


def lock_present(session_id: str) -> Pod | None:
    """The pod of a session that is not gone for good, with its session."""
    return _locked_pod("s.session_id = %s AND p.state <> 'terminated'", session_id)


def lock_message(message_id: object) -> ChatMessage | None:
    """The message with its pod and session."""
    row = prepared.first(
        f"SELECT {_columns(Session, 's')}, {_columns(Pod, 'p')}, {_columns(ChatMessage, 'm')} "
        "FROM routing_chatmessage m JOIN routing_pod p ON p.id = m.pod_id "
        "JOIN sessions_app_session s USING (session_id) WHERE m.message_id = %s FOR NO KEY UPDATE OF s, p, m",
        [message_id],
    )
    if row is None:
        return None
    session, rest = _taken(Session, row)
    pod, rest = _taken(Pod, rest)
    message, _ = _taken(ChatMessage, rest)
    pod.session, message.pod = session, pod
    return message


def read_message(message_id: object) -> ChatMessage:
    """The message alone, without a lock. Raises ChatMessage.DoesNotExist."""
    sql = f"SELECT {_columns(ChatMessage, 'm')} FROM routing_chatmessage m WHERE m.message_id = %s"
    row = prepared.first(sql, [message_id])
    if row is None:
        raise ChatMessage.DoesNotExist
    return _taken(ChatMessage, row)[0]


def _locked_pod(condition: str, value: Any) -> Pod | None:
    row = prepared.first(
        f"SELECT {_columns(Session, 's')}, {_columns(Pod, 'p')} FROM routing_pod p "
        f"JOIN sessions_app_session s USING (session_id) WHERE {condition} FOR NO KEY UPDATE OF s, p",
        [value],
    )
    if row is None:
        return None
    session, rest = _taken(Session, row)
    pod, _ = _taken(Pod, rest)
    pod.session = session
    return pod


def _taken(model: type[Row], row: tuple[Any, ...]) -> tuple[Row, tuple[Any, ...]]:
    """The row's first columns as an instance, and what is left."""
    names = _names(model)
    return model.from_db("default", names, row[: len(names)]), row[len(names) :]


@cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@cache
def _columns(model: type[Model], alias: str) -> str:
    return ", ".join(f"{alias}.{field.column}" for field in model._meta.concrete_fields)
