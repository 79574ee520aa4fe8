"""Hole state in Redis, shared by replicas and as durable as Redis is (ADV-34). The door to that Redis."""

import json
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from routing.errors import SessionConflict, SessionExpired, StoreUnavailable
from routing.golf import hole_state
from routing.golf.hole_state import HoleState
from routing.golf.hole_stores.contract import Apply, T

_TIMEOUT_S = 0.5  # ADV-35
_TRIES = 3  # ADV-34


class RedisStore:
    """A hash for each hole with an expiry; a change compares `version` and writes in one script."""

    backend = "redis"

    # KEYS[1]; ARGV: version read, new version, document, seconds to live. 1 written, 0 changed meanwhile, -1 gone.
    _SWAP = """
        local version = redis.call('HGET', KEYS[1], 'version')
        if not version then return -1 end
        if version ~= ARGV[1] then return 0 end
        redis.call('HSET', KEYS[1], 'version', ARGV[2], 'document', ARGV[3])
        redis.call('EXPIRE', KEYS[1], ARGV[4])
        return 1
    """

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(
            url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )

    def transaction(self) -> AbstractContextManager[Any]:
        """None: no row lock is held while the network is used."""
        return nullcontext()

    def ping(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.client.ping())
        except (redis.RedisError, OSError):
            return False

    def put(self, state: HoleState) -> None:
        """Replace the hash as a whole."""
        with _redis(), self.client.pipeline() as pipeline:
            key = self._key(state.session_id)
            pipeline.delete(key)
            pipeline.hset(key, mapping={"version": _new_version(), "document": _dumped(state)})
            pipeline.expire(key, settings.HOLE_STATE_TTL_S)
            pipeline.execute()

    def read(self, session_id: str) -> HoleState | None:
        """One field."""
        with _redis():
            document = self.client.hget(self._key(session_id), "document")
        return _loaded(document) if document else None

    def change(self, session_id: str, apply: Apply[T]) -> tuple[HoleState, T]:
        """Optimistic, three tries."""
        key = self._key(session_id)
        for _ in range(_TRIES):
            with _redis():
                version, document = self.client.hmget(key, "version", "document")
            if version is None or document is None:
                raise SessionExpired
            state, outcome = apply(_loaded(document))
            with _redis():
                done = self.client.eval(
                    self._SWAP, 1, key, version, _new_version(), _dumped(state), settings.HOLE_STATE_TTL_S
                )
            if done == 1:
                return state, outcome
        raise SessionConflict

    def refresh(self, session_id: str) -> None:
        """EXPIRE, which does nothing to a key that is gone."""
        with _redis():
            self.client.expire(self._key(session_id), settings.HOLE_STATE_TTL_S)

    def drop(self, session_id: str) -> None:
        """DEL."""
        with _redis():
            self.client.delete(self._key(session_id))

    def _key(self, session_id: str) -> str:
        return f"{settings.REDIS_SESSION_PREFIX}:{session_id}"


def _new_version() -> str:
    return secrets.token_hex(8)  # random, so that a hole started anew never looks like the one before


def _dumped(state: HoleState) -> str:
    return json.dumps(hole_state.to_document(state), separators=(",", ":"))


def _loaded(document: bytes | str) -> HoleState:
    return hole_state.from_document(json.loads(document))


@contextmanager
def _redis() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable from error
