"""Settings that stop the boot (ADV-33, ADV-54, OPS-61)."""

import pytest

from routing.golf import golf_checks


def findings() -> list[str | None]:
    return [one.id for one in golf_checks.refuse_golf_settings(None)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_STORE_BACKEND", "sqlite"),
        ("SESSION_STORE_REDIS_URL", "127.0.0.1:6379"),
        ("SURFACE_COMMIT_ON_STREAK", 0),
        ("SURFACE_COMMIT_OFF_STREAK", 21),
        ("SURFACE_MARGIN_M", -0.1),
        ("UNKNOWN_MARGIN_M", float("nan")),
        ("SURFACE_GAP_S", 0),
        ("HOLE_STATE_TTL_S", 0),
        ("PUTT_SOLVER_URL", "127.0.0.1:7071"),
        ("PUTT_PAST_CUP_M", 0),
        ("PLANNER_PLAYER_JSON", "[]"),
        ("PLANNER_PLAYER_JSON", '{"player": 1}'),
        ("PLANNER_PLAYER_JSON", '{"handicap": 3}'),
    ],
)
def test_a_senseless_value_stops_the_boot(settings, name, value):
    """ADV-33: any other value stops the boot."""
    setattr(settings, name, value)

    assert "baton.E006" in findings()


def test_the_defaults_are_accepted(settings):
    """OPS-61."""
    settings.PLANNER_PLAYER_JSON = '{"player": {"handicap": 12}, "conditions": {}}'

    assert findings() == []


@pytest.mark.parametrize(
    ("name", "value", "id_"),
    [("SESSION_STORE_BACKEND", "memory", "baton.W002"), ("DEBUG_BUNDLE_ENABLED", True, "baton.W004")],
)
def test_a_setting_for_trials_is_named_in_earnest(settings, name, value, id_):
    """OPS-61: warnings with DEBUG=false only."""
    settings.DEBUG = False
    setattr(settings, name, value)

    assert findings() == [id_]
