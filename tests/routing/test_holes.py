"""Playing a hole over HTTP (ADV-8 to ADV-21), in every store."""

import datetime as dt
import re
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from routing.golf import hole_store
from routing.golf.golf_models import Hole, HoleState
from sessions_app import clock
from sessions_app.models import Session
from tests.clients import Api
from tests.factories import make_session, make_start, make_token
from tests.logs import events
from tests.routing.playing import COURSE, Golfer, at, codes, refused, said

pytestmark = pytest.mark.django_db(transaction=True)
UNKNOWN_UUID = "0b4ff0c6-6f0e-4b8e-9d3b-0d8a7b6f2c11"


def kinds(session_id: str, user_id: str = "u1") -> list[str]:
    return [event["event"] for event in events(user_id, session_id)]


def redis_client() -> Any:
    store: Any = hole_store.current()
    return store.client


def test_start_opens_a_session_and_records_it(golfer, store):
    """ADV-12, ADV-13: an issued id, one start line, the whole envelope."""
    answer = golfer.start(2, ball_wgs84=at(2, 5), cup_wgs84=at(2, 8), stimp={"ft": 10, "in": 0}, request_id="r-1")

    body = answer.json()
    state = body.pop("hole_state")
    assert body == {"contract_version": "0.5.0", "request_id": "r-1", "session_id": golfer.session_id, "warnings": []}
    stamped = {state.pop("ball_timestamp_utc"), state.pop("cup_timestamp_utc")}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one) for one in stamped)
    assert state == {
        "contract_version": "0.5.0",
        "session_id": golfer.session_id,
        "course_id": COURSE,
        "hole_id": 2,
        "green_id": "green_2",
        "dtm_id": "syn_plane_20cm",
        "ball_wgs84": at(2, 5),
        "ball_local_green": {"x_m": 5.0, "y_m": 8.0},
        "cup_wgs84": at(2, 8),
        "cup_local_green": {"x_m": 8.0, "y_m": 8.0},
        "surface_state": "ON_GREEN",
        "surface_confidence": 0.97,
        "stimp": {"ft": 10, "in": 0},
        "warnings": [],
        "green_frame": {
            "frame": "green_local_m",
            "extents_m": {"x_max_m": 20.0, "y_max_m": 16.0},
            "grid": {"rows": 101, "cols": 81, "spacing_m": 0.2},
        },
    }
    assert re.fullmatch(r"sess_[0-9a-f]{16}", golfer.session_id)
    assert kinds(golfer.session_id) == ["session.start"]


def test_start_without_a_ball_knows_nothing_of_the_surface(golfer, store):
    """Section 2: UNKNOWN with confidence 0, absent members left out."""
    answer = golfer.start()

    assert said(answer) == ("UNKNOWN", 0)
    assert not {"ball_wgs84", "cup_wgs84", "stimp", "competition_mode"} & answer.json()["hole_state"].keys()


def test_start_attaches_a_hole_to_a_session_there_is(golfer):
    """ADV-13, ADV-18: end only detaches; another hole may follow."""
    session = make_session("u1")
    assert golfer.start(session_id=session.session_id).status_code == 200
    assert refused(golfer.start(3, session_id=session.session_id)) == (409, "HOLE_ALREADY_STARTED")

    assert golfer.end().json()["session_closed"] is False
    assert Session.objects.get(pk=session.pk).is_active
    assert refused(golfer.read()) == (409, "SESSION_ALREADY_CLOSED")
    assert golfer.start(3, session_id=session.session_id).json()["hole_state"]["hole_id"] == 3
    assert kinds(session.session_id) == ["session.start"]


def test_start_opens_an_unknown_uuid_under_that_id(golfer, store):
    """ADV-13."""
    assert golfer.start(session_id=UNKNOWN_UUID).json()["session_id"] == UNKNOWN_UUID
    assert kinds(UNKNOWN_UUID) == ["session.start"]
    assert golfer.end().json()["session_closed"] is True


def test_start_refuses_sessions_that_cannot_take_a_hole(golfer):
    """ADV-13: an unknown issued id, a closed session, a session of somebody else."""
    golfer.start()
    golfer.end()
    foreign = make_session("u2")

    assert refused(golfer.start(session_id="sess_" + "0" * 16)) == (404, "SESSION_NOT_FOUND")
    assert refused(golfer.start(session_id=golfer.session_id)) == (409, "SESSION_ALREADY_CLOSED")
    assert refused(golfer.start(session_id=foreign.session_id)) == (404, "SESSION_NOT_FOUND")


def test_start_belongs_to_the_caller_or_to_whom_it_may_name(golfer, carer, service):
    """ADV-14."""
    assert refused(golfer.start(user_id="u2")) == (403, "USER_NOT_ALLOWED")
    assert Golfer(carer).start(user_id="u2").status_code == 200
    assert refused(Golfer(service).start()) == (400, "FIELD_MISSING")
    assert Golfer(service).start(user_id="u3").status_code == 200
    assert sorted(Session.objects.values_list("user_id", "performer_id")) == [("u2", "carer01"), ("u3", "system")]


def test_start_while_signing_in_is_off_belongs_to_a_guest(settings):
    """ADV-14."""
    settings.AUTH_REQUIRED = False
    named: tuple[dict[str, Any], ...] = ({}, {"user_id": "u9"})
    for over in named:
        golfer = Golfer(Api())
        assert golfer.start(**over).status_code == 200
        assert golfer.end().json()["session_closed"] is True

    assert sorted(Session.objects.values_list("user_id", flat=True)) == ["guest", "u9"]


@pytest.mark.parametrize(("course", "hole"), [("baton_links", 9), ("augusta", 1), ("baton_links", 2**40)])
def test_start_of_an_unknown_hole_is_404(api, course, hole):
    """ADV-15: and no session is opened."""
    answer = api.post("/api/session/start", {"course_id": course, "hole_id": hole})

    assert refused(answer) == (404, "DATASET_NOT_FOUND")
    assert not Session.objects.exists()


def test_set_cup_moves_the_cup_alone(golfer, store):
    """ADV-17: also outside the extents, with a warning at the top only."""
    golfer.start(2, ball_wgs84=at(2, 5))
    golfer.ball(-30)
    before = golfer.read().json()
    answer = golfer.cup(21)

    assert codes(answer) == ["SURFACE_HELD", "CUP_OUTSIDE_GREEN"]
    after = answer.json()["hole_state"]
    assert after.pop("cup_local_green") == {"x_m": 21.0, "y_m": 8.0}
    assert {name: after[name] for name in before} == before


def test_read_gives_the_bare_state_and_touches_nothing(golfer, store):
    """ADV-19: version as a query parameter; the hole lives no longer for being looked at."""
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start(2, ball_wgs84=at(2, 5))
        clockwork.shift(7000)
        assert golfer.read("?contract_version=0.6.0").json()["contract_version"] == "0.6.0"
        clockwork.shift(300)
        if store != "redis":  # whose own clock nobody can move
            assert refused(golfer.read()) == (410, "SESSION_EXPIRED")


@pytest.mark.parametrize("use", ["ball", "cup"])
def test_every_accepted_change_lets_the_hole_live_on(golfer, use):
    """ADV-19: after the last accepted start or set."""
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start()
        clockwork.shift(7000)
        getattr(golfer, use)(5)
        clockwork.shift(7000)
        assert golfer.read().status_code == 200


def test_redis_holds_a_hole_for_its_time_alone(golfer, settings):
    """ADV-34: the key has the prefix, a version field and an expiry that each write renews."""
    settings.SESSION_STORE_BACKEND, settings.REDIS_SESSION_PREFIX = "redis", "test:hole"
    golfer.start()
    client = redis_client()
    key = f"test:hole:{golfer.session_id}"
    client.expire(key, 60)
    version = client.hget(key, "version")
    golfer.ball(5)

    assert 7100 < client.ttl(key) <= 7200
    assert client.hget(key, "version") != version
    client.delete(key)
    assert refused(golfer.read()) == (410, "SESSION_EXPIRED")


def test_after_its_end_a_hole_is_closed(golfer, store):
    """ADV-18, ADV-19: one end line, then 409 everywhere."""
    golfer.start()
    assert golfer.end(request_id="bye").json() == {
        "contract_version": "0.5.0",
        "request_id": "bye",
        "session_id": golfer.session_id,
        "status": "ended",
        "session_closed": True,
    }
    for again in (golfer.end, golfer.read, lambda: golfer.ball(5), lambda: golfer.cup(5)):
        assert refused(again()) == (409, "SESSION_ALREADY_CLOSED")
    assert kinds(golfer.session_id) == ["session.start", "session.end"]


def test_after_its_time_a_hole_has_expired(golfer):
    """ADV-18, ADV-19: 410 for every call, also once the session has been closed for it."""
    calls = (golfer.end, golfer.read, lambda: golfer.ball(5), lambda: golfer.cup(5))
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start()
        clockwork.shift(7201)
        assert {refused(call()) for call in calls} == {(410, "SESSION_EXPIRED")}
        call_command("cleanup_sessions", no_progress=True)
        assert {refused(call()) for call in calls} == {(410, "SESSION_EXPIRED")}

    end = events("u1", golfer.session_id)[-1]
    assert (end["event"], end["performer_id"], end["end_reason"]) == ("session.end", "system", "timeout")
    assert not HoleState.objects.exists()


def test_cleanup_leaves_sessions_that_others_opened(golfer):
    """ADV-19: it closes what `start` opened; a hole that was attached makes room for the next."""
    session = make_session("u1", exclusive=False)
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start(session_id=session.session_id)
        clockwork.shift(7201)
        call_command("cleanup_sessions", no_progress=True)
        assert Session.objects.get(pk=session.pk).is_active
        assert golfer.start(3, session_id=session.session_id).status_code == 200

    assert Hole.objects.filter(ended_at=None).count() == 1


def test_a_session_closed_elsewhere_ends_its_hole(golfer):
    """ADV-18."""
    body = make_start(user_id="u1")
    session_id = golfer.api.post("/session_manager/sessions.start", body).json()["session_id"]
    golfer.start(session_id=session_id)
    golfer.api.post("/session_manager/sessions.end", {**body, "session_id": session_id})

    assert refused(golfer.ball(5)) == (409, "SESSION_ALREADY_CLOSED")
    assert refused(golfer.end()) == (409, "SESSION_ALREADY_CLOSED")


def test_a_foreign_hole_looks_like_an_unknown_one(golfer, db):
    """ADV-11, ADV-20; a carer may use it."""
    golfer.start()
    stranger, carer = (Golfer(Api(make_token(*who))) for who in (("u2",), ("carer01", ("operator",))))
    stranger.session_id = carer.session_id = golfer.session_id
    stranger.hole_id = carer.hole_id = 2

    for call in (stranger.read, stranger.end, lambda: stranger.ball(5), lambda: stranger.cup(5)):
        assert refused(call()) == (404, "SESSION_NOT_FOUND")
    assert carer.ball(5).status_code == 200


def test_a_session_without_a_hole_is_no_golf_session(golfer):
    """ADV-20."""
    golfer.session_id = make_session("u1").session_id

    assert refused(golfer.read()) == (404, "SESSION_NOT_FOUND")


def test_use_of_a_hole_counts_as_activity(golfer):
    """SES-54."""
    with time_machine.travel(clock.now(), tick=False) as clockwork:
        golfer.start()
        clockwork.shift(60)
        golfer.ball(5)
        assert Session.objects.get().last_activity_at == clock.now()
        assert Session.objects.get().start_time == clock.now() - dt.timedelta(seconds=60)


def test_datasets_lists_the_greens_without_a_path(api, settings):
    """ADV-21."""
    body = api.get("/api/datasets?contract_version=0.6.0").json()

    assert body["contract_version"] == "0.6.0"
    assert body["datasets"][1] == {
        "dtm_id": "syn_plane_20cm",
        "course_id": COURSE,
        "hole_id": 2,
        "green_id": "green_2",
        "dataset_version": "1.0.0",
    }
    assert len(body["datasets"]) == 4
