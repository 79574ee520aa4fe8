"""What every golf test has: the shipped course, a store of its own, and the ways to play."""

from collections.abc import Iterator
from typing import Any

import pytest

from routing import downstream
from routing.golf import datasets, hole_store
from routing.golf.hole_stores.memory import MemoryStore
from routing.golf.hole_stores.redis import RedisStore
from tests.clients import Api
from tests.factories import make_token
from tests.routing.courses import load
from tests.routing.playing import Golfer

SHIPPED = load(datasets.SHIPPED_ROOT)


@pytest.fixture(autouse=True)
def golf(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shipped course, already loaded, and a store chosen anew from the settings."""
    settings.COURSE_DATA_ROOT = datasets.SHIPPED_ROOT
    settings.DATASET_REGISTRY_PATH = datasets.SHIPPED_ROOT / "datasets.json"
    monkeypatch.setattr(datasets, "_registry", SHIPPED)
    monkeypatch.setattr(hole_store, "_chosen", None)
    yield
    downstream.close()
    if isinstance(hole_store._chosen, RedisStore):
        hole_store._chosen.client.close()


@pytest.fixture(params=["db", "redis", "memory"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each store in turn (ADV-34)."""
    settings.SESSION_STORE_BACKEND = request.param
    assert isinstance(hole_store.current(), MemoryStore | RedisStore) is (request.param != "db")
    return str(request.param)


@pytest.fixture
def golfer(db: None) -> Golfer:
    """The person `u1` with a ball."""
    return Golfer(Api(make_token("u1", access_ttl_s=1_000_000)))  # it outlives the holes of the tests
