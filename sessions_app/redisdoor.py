"""Door to Redis for threads: short waits, none at all while it is known to be away, one error for all of it."""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Final, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from sessions_app.errors import RedisUnavailable

AWAY_S: Final = 1.0  # after a failure the next callers do not try
ANSWER_S: Final = 2.0

T = TypeVar("T")


def call(command: str, *arguments: Any, **options: Any) -> Any:
    """One command, by its name in redis-py. Raises RedisUnavailable."""
    server = _server()
    return server.attempt(lambda: getattr(server.client, command)(*arguments, **options))


def run(script: str, keys: Sequence[str], arguments: Sequence[Any], *, answer_s: float = ANSWER_S) -> Any:
    """One Lua script, for which Redis has `answer_s` seconds. Raises RedisUnavailable."""
    server = _server(answer_s)
    rest = [len(keys), *keys, *arguments]
    return server.attempt(lambda: server.spoken(partial(_evaluated, script=script, rest=rest)))


def publish(channel: str, message: str | bytes) -> int:
    """Tell a channel; how many heard it. Raises RedisUnavailable."""
    server = _server()
    return int(server.attempt(lambda: server.spoken(partial(_ask, command=("PUBLISH", channel, message)))))


class _Server:
    """A client, connections that are spoken to directly, and until when Redis counts as away.

    Scripts and notices are what every request and every chat sends, and the client spends as much again on each.
    """

    def __init__(self, url: str, answer_s: float) -> None:
        self.client = redis.Redis.from_url(
            url, socket_connect_timeout=0.5, socket_timeout=answer_s, retry=Retry(NoBackoff(), 0)
        )
        self._idle: list[Any] = []
        self._away_until = 0.0

    def spoken(self, ask: Callable[[Any], T]) -> T:
        """Ask over the connection used last, or one more where all are in use."""
        try:
            connection = self._idle.pop()
        except IndexError:  # asked beforehand, another thread might take the last one in between
            connection = self.client.connection_pool.make_connection()
        if _has_ended(connection):
            connection.disconnect()  # it is made anew by the first command
        try:
            answer = ask(connection)
        except BaseException:
            connection.disconnect()
            raise
        self._idle.append(connection)
        return answer

    def attempt(self, ask: Callable[[], T]) -> T:
        """Ask, unless Redis is known to be away."""
        if self._away_until > time.monotonic():
            raise RedisUnavailable
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_S
            raise RedisUnavailable from error


def _has_ended(connection: Any) -> bool:
    """Whether the connection was cut while nobody used it, as by a restart of Redis."""
    try:
        return bool(connection.is_connected and connection.can_read())  # nothing was asked: it can be the end alone
    except redis.ConnectionError:
        return True


def _evaluated(connection: Any, script: str, rest: Sequence[Any]) -> Any:
    """Run a script by its digest, or by its text where Redis does not know it."""
    try:
        return _ask(connection, ("EVALSHA", _digest(script), *rest))
    except NoScriptError:
        return _ask(connection, ("EVAL", script, *rest))


def _ask(connection: Any, command: Sequence[Any]) -> Any:
    connection.send_command(*command, check_health=False)
    return connection.read_response()


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


_servers: dict[tuple[str, float], _Server] = {}


def _server(answer_s: float = ANSWER_S) -> _Server:
    place = settings.REDIS_URL, answer_s
    return _servers.get(place) or _servers.setdefault(place, _Server(*place))
