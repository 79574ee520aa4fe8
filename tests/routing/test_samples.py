"""Ball locations as surface samples over HTTP (ADV-53 to ADV-65), in every store."""

import datetime as dt
import threading
import time

import pytest
from django.db import connection, transaction
from django.test import override_settings

from routing.golf import hole_rows
from sessions_app import clock
from tests.routing.playing import at, codes, refused, said

pytestmark = pytest.mark.django_db(transaction=True)


def later(seconds: float) -> str:
    return clock.stamp(clock.now() + dt.timedelta(seconds=seconds))


def test_the_worked_sequence(golfer, store):
    """ADV-65: hole 3, the ball of `start` is the first sample (ADV-16)."""
    rows = [said(golfer.start(3, ball_wgs84=at(3, 10)))]
    rows += [said(golfer.ball(x_m)) for x_m in (20, 18.8, 20, 30, 10, 18)]

    assert rows == [
        ("ON_GREEN", 0.97),
        ("ON_GREEN", 0.95),
        ("ON_GREEN", 0.60),
        ("ON_GREEN", 0.95),
        ("OFF_GREEN", 0.95),
        ("OFF_GREEN", 0.95),
        ("ON_GREEN", 0.97),
    ]


def test_accuracy_widens_the_band(golfer, store):
    """ADV-65: step 7 with accuracy 3 m in 0.6.0; versions may be mixed (ADV-9)."""
    golfer.start(3, ball_wgs84=at(3, 30))
    golfer.ball(10)
    answer = golfer.ball(18, contract_version="0.6.0", accuracy_m=3)

    assert said(answer) == ("OFF_GREEN", 0.60)
    assert answer.json()["contract_version"] == answer.json()["hole_state"]["contract_version"] == "0.6.0"


@pytest.mark.parametrize("member", [{"accuracy_m": 3}, {"timestamp_utc": "2026-05-04T10:11:12.345Z"}])
def test_new_members_are_unknown_to_the_old_version(golfer, member):
    """ADV-9."""
    golfer.start(3)

    assert refused(golfer.ball(10, **member)) == (400, "FIELD_UNKNOWN")


def test_a_request_sent_twice_counts_once(golfer, store):
    """ADV-55: 200 with the current state, also when 5.0 is written 5."""
    golfer.start(3, ball_wgs84=at(3, 10))
    first = golfer.ball(30, request_id="r-7")
    again = golfer.ball(30, request_id="r-7")

    assert said(first) == said(again) == ("ON_GREEN", 0.95)
    assert codes(again) == ["SURFACE_HELD", "DUPLICATE_SAMPLE"]
    assert said(golfer.ball(30, request_id="r-8")) == ("OFF_GREEN", 0.95)


def test_a_request_id_with_another_body_is_refused(golfer, store):
    """ADV-56: nothing has changed (ADV-63)."""
    golfer.start(3, ball_wgs84=at(3, 10))
    golfer.ball(20, request_id="r-7")
    before = golfer.read().json()

    assert refused(golfer.ball(30, request_id="r-7")) == (409, "REQUEST_ID_REUSED")
    assert golfer.read().json() == before


def test_only_the_last_32_ids_are_remembered(golfer):
    """ADV-53: ids of cups, and of the header, are none."""
    golfer.start(3)
    golfer.cup(5, request_id="r-0")
    for n in range(33):
        golfer.ball(10, request_id=f"r-{n}")

    assert codes(golfer.ball(10, request_id="r-1")) == ["DUPLICATE_SAMPLE"]
    assert codes(golfer.ball(10, request_id="r-0")) == []


@pytest.mark.parametrize(("seconds", "code"), [(0, "DUPLICATE_SAMPLE"), (-5, "STALE_SAMPLE")])
def test_samples_out_of_order_do_not_count(golfer, store, seconds, code):
    """ADV-57, ADV-58: the ball is not stored."""
    golfer.start(3, ball_wgs84=at(3, 10))
    when = later(0)
    golfer.ball(10, contract_version="0.6.0", timestamp_utc=when)
    answer = golfer.ball(30, contract_version="0.6.0", timestamp_utc=when if seconds == 0 else later(seconds))

    assert codes(answer) == [code]
    assert answer.json()["hole_state"]["ball_local_green"] == {"x_m": 10.0, "y_m": 8.0}
    assert answer.json()["hole_state"]["ball_timestamp_utc"] == when


@pytest.mark.parametrize(("seconds", "status"), [(290, 200), (310, 400)])
def test_a_timestamp_may_be_a_little_ahead(golfer, seconds, status):
    """ADV-59: 300 s."""
    golfer.start(3)

    assert golfer.ball(10, contract_version="0.6.0", timestamp_utc=later(seconds)).status_code == status


def test_a_gap_and_a_jump_are_doubted(golfer, store):
    """ADV-60, ADV-61."""
    golfer.start(3)
    rows = [
        golfer.ball(x_m, contract_version="0.6.0", timestamp_utc=later(seconds))
        for x_m, seconds in ((10, -200), (30, -190), (30, -100), (30, -99), (300, -98), (10, -97), (10, -96), (10, -95))
    ]

    assert [said(row)[0] for row in rows] == ["ON_GREEN"] * 3 + ["OFF_GREEN"] * 4 + ["ON_GREEN"]
    assert codes(rows[5]) == ["SURFACE_HELD", "SURFACE_JUMP"]


def test_a_refused_request_is_no_sample(golfer, store):
    """ADV-63: nor is reading, or moving the cup."""
    golfer.start(3, ball_wgs84=at(3, 10))
    golfer.ball(30)
    golfer.ball(30, extra=1)
    golfer.read()
    golfer.cup(5)

    assert said(golfer.read()) == ("ON_GREEN", 0.95)
    assert said(golfer.ball(30)) == ("OFF_GREEN", 0.95)


def test_simultaneous_samples_all_count(golfer, store):
    """ADV-34, ADV-64: twelve threads, no update is lost."""
    golfer.start(3, ball_wgs84=at(3, 10))
    statuses: list[int] = []

    def send() -> None:
        statuses.append(golfer.ball(30).status_code)
        connection.close()

    with override_settings(SURFACE_COMMIT_OFF_STREAK=20):
        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    counted = golfer.read().json()["warnings"][0]
    assert set(statuses) <= {200, 409}
    assert counted == f"SURFACE_HELD: candidate OFF_GREEN {statuses.count(200)}/20"


def test_advice_takes_its_rows_in_the_order_a_ball_does(golfer):
    """ADV-64: the hole's state, then the session; in another order the two could wait for each other."""
    golfer.start(3, ball_wgs84=at(3, 10))
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(golfer.advice(competition_mode=True).status_code)
        connection.close()

    asking = threading.Thread(target=ask)
    with transaction.atomic():
        hole_rows.lock_document(golfer.session_id)
        asking.start()
        until_somebody_waits()
        assert hole_rows.note_use(golfer.session_id)
    asking.join()

    assert statuses == [200]


def until_somebody_waits() -> None:
    """Return when another connection waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            if cursor.rowcount:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")
