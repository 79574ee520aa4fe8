"""Door to Redis for threads: short waits, none at all while it is known to be away, one error for all of it."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
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
    return server.attempt(lambda: server.script(script)(keys=keys, args=arguments))


class _Server:
    """A client, the scripts it knows, and until when Redis counts as away."""

    def __init__(self, url: str, answer_s: float) -> None:
        self.client = redis.Redis.from_url(
            url, socket_connect_timeout=0.5, socket_timeout=answer_s, retry=Retry(NoBackoff(), 0)
        )
        self._scripts: dict[str, Script] = {}
        self._away_until = 0.0

    def script(self, text: str) -> Script:
        """The script by its text, sent to Redis once."""
        found = self._scripts.get(text)
        if found is None:
            found = self._scripts[text] = self.client.register_script(text)
        return found

    def attempt(self, ask: Callable[[], T]) -> T:
        """Ask, unless Redis is known to be away."""
        if self._away_until > time.monotonic():
            raise RedisUnavailable
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_S
            raise RedisUnavailable from error


_servers: dict[tuple[str, float], _Server] = {}


def _server(answer_s: float = ANSWER_S) -> _Server:
    place = settings.REDIS_URL, answer_s
    return _servers.get(place) or _servers.setdefault(place, _Server(*place))
