"""Folding a log, holding it against the row, mending it (SES-58 to SES-62); the chain betrays a changed line."""

import json
import os

import pytest
from django.core.management import call_command
from django.forms import model_to_dict

from sessions_app import eventlog, sessions
from sessions_app.log import chain
from sessions_app.models import Session
from tests.commands import run
from tests.factories import append_event, make_caller, make_event, make_session
from tests.logs import events, log_path

pytestmark = pytest.mark.django_db


def replay(*arguments):
    """The command's exit code and its lines."""
    return run("replay_session", *arguments)


def ended(session):
    sessions.end(session.session_id, user_id=session.user_id, performer_id="u1", by=make_caller(session.user_id))
    return session


def rewrite(session, change):
    """Let `change` turn the list of raw lines into another."""
    path = log_path(session.user_id, session.session_id)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def story_of_four(user_id="u1"):
    """start, two notes, end."""
    session = make_session(user_id)
    for note in ("one", "two"):
        eventlog.append(session, make_event(session, note=note))
    return ended(session)


def test_a_whole_log_agrees():
    session = story_of_four()
    assert replay(session.session_id) == (0, [f"ok {session.session_id} events=4"])


def test_an_active_session_agrees():
    assert replay(make_session().session_id)[0] == 0


def test_json_tells_the_state_and_the_differences():
    """SES-60."""
    session = story_of_four()
    code, out = replay(session.session_id, "--json")
    assert code == 0
    assert json.loads(out[0]) == {
        "session_id": session.session_id, "user_id": "u1", "events": 4, "state": "closed", "differences": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda raw: [raw[0], raw[1].replace(b"one", b"onE"), *raw[2:]], "line 2 altered"),
        (lambda raw: [raw[0].replace(b"carer01", b"carer02").replace(b'"u1"', b'"u1"', 1), *raw[1:]], None),
        (lambda raw: [raw[0], *raw[2:]], "line 2 removed"),
        (lambda raw: raw[:-1], "line 4 removed"),
        (lambda raw: [*raw[:2], raw[1], *raw[2:]], "line 3 inserted"),
        (lambda raw: [raw[0], raw[2], raw[1], raw[3]], "line 2"),
        (lambda raw: [*raw[:3], raw[3][:-20]], "line 4 removed"),
        (lambda raw: [*raw, raw[3]], "line 5"),
    ],
)
def test_a_changed_log_is_named_by_line(change, named):
    """A byte flipped, a line cut, a line copied, two lines swapped."""
    session = story_of_four()
    rewrite(session, change)
    code, out = replay(session.session_id)
    if named is None:  # the change that changes nothing is the control
        assert (code, out) == (0, [f"ok {session.session_id} events=4"])
    else:
        assert code == 1
        assert any("chain_broken" in line and named in line for line in out) or any(
            "line_unvouched" in line and named in line for line in out
        ), out


def test_a_line_cut_from_a_log_that_grew_afterwards_is_still_named():
    """There may be as many lines again as were written."""
    session = make_session()
    for note in ("one", "two"):
        append_event(session, note=note)
    rewrite(session, lambda raw: [raw[0], *raw[2:]])
    append_event(session, note="three")
    code, out = replay(session.session_id)
    assert code == 1
    assert f"differs {session.session_id} chain_broken line 2 removed" in out


def test_a_log_and_chain_rewritten_together_still_disagree_with_the_row():
    session = story_of_four()
    rewrite(session, lambda raw: [raw[0], raw[1].replace(b"one", b"onE"), *raw[2:]])
    path = log_path("u1", session.session_id)
    values = chain.values(path.read_bytes().splitlines(keepends=True))
    path.with_suffix(".chain").write_text("".join(f"{value}\n" for value in values))
    code, out = replay(session.session_id)
    assert code == 1
    assert "the row vouches for" in out[0]


def test_a_lost_chain_file_is_told_and_does_not_fail():
    session = story_of_four()
    log_path("u1", session.session_id).with_suffix(".chain").unlink()
    code, out = replay(session.session_id)
    assert (code, len(out)) == (0, 1)
    assert "chain_short" in out[0]


def test_a_chain_entry_half_written_accuses_no_line():
    """A full disk or a crash cut it off: what there is of it agrees."""
    session = story_of_four()
    chain_path = log_path("u1", session.session_id).with_suffix(".chain")
    chain_path.write_bytes(chain_path.read_bytes()[:-40])
    code, out = replay(session.session_id)
    assert code == 0
    assert out == [f"differs {session.session_id} chain_short the chain file ends after line 3"]


def test_half_an_entry_that_is_not_the_next_one_betrays_a_line():
    session = story_of_four()
    chain_path = log_path("u1", session.session_id).with_suffix(".chain")
    chain_path.write_bytes(chain_path.read_bytes()[:-40] + b"!")
    code, out = replay(session.session_id)
    assert code == 1
    assert out == [f"differs {session.session_id} chain_broken line 4 altered"]


@pytest.mark.parametrize("what", ["directory", "link", "pipe"])
def test_what_stands_in_place_of_a_chain_file_is_told_and_the_others_are_examined(what):
    """The recorder would not write there either; nobody waits for a pipe's writer."""
    session, other = story_of_four(), story_of_four("u2")
    in_place_of(log_path("u1", session.session_id).with_suffix(".chain"), what)

    code, out = replay("--all")

    assert code == 1
    assert sorted(out) == sorted(
        [
            f"ok {other.session_id} events=4",
            f"differs {session.session_id} chain_broken what stands in place of the chain file is none",
        ]
    )


def test_row_missing_is_repaired_and_closed():
    """SES-59: the row comes from the line; without an end line it is closed as `system`, reason `repair`."""
    session = make_session(session_notes="kept")
    Session.objects.all().delete()
    assert replay("--all") == (1, [f"differs {session.session_id} row_missing the log has a start, there is no row"])

    code, out = replay("--all", "--repair")
    assert code == 0
    assert out[0].startswith("repaired")
    row = Session.objects.get()
    assert (row.status, row.end_reason, row.session_notes) == ("closed", "repair", "kept")
    assert [event["performer_id"] for event in events("u1", session.session_id)] == ["u1", "system"]
    assert replay("--all", "--repair") == (0, [f"ok {session.session_id} events=2"])


def test_row_missing_with_an_end_line_is_rebuilt_from_both():
    story_of_four()
    before = model_to_dict(Session.objects.get())
    Session.objects.all().delete()
    assert replay("--user", "u1", "--repair")[0] == 0
    after = model_to_dict(Session.objects.get())
    same = ("start_time", "end_time", "start_record_id", "end_record_id", "end_reason", "log_lines", "log_head")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_an_end_that_was_not_applied_is_applied():
    session = ended(make_session())
    first = log_path("u1", session.session_id).read_bytes().splitlines(keepends=True)[0]
    lost = {"end_time": None, "end_record_id": None, "end_reason": None}
    Session.objects.update(status="active", log_lines=1, log_head=chain.step(chain.EMPTY, first), **lost)
    assert replay(session.session_id)[0] == 1
    assert replay(session.session_id, "--repair")[0] == 0
    assert Session.objects.get().status == "closed"
    assert len(events("u1", session.session_id)) == 2
    assert replay(session.session_id, "--repair") == (0, [f"ok {session.session_id} events=2"])


def test_a_log_without_a_file_is_reported():
    session = make_session()
    log_path("u1", session.session_id).unlink()
    assert replay(session.session_id, "--repair") == (
        1,
        [f"differs {session.session_id} log_missing the row has no log"],
    )


def test_a_torn_fragment_is_told_and_does_not_fail():
    """SES-59."""
    session = make_session()
    with log_path("u1", session.session_id).open("ab") as log:
        log.write(b'{"recorded_at":"2026-')
    code, out = replay(session.session_id)
    assert (code, len(out)) == (0, 1)
    assert "unreadable_line" in out[0]


def test_a_line_that_does_not_parse_fails():
    session = make_session()
    with log_path("u1", session.session_id).open("ab") as log:
        log.write(b"garbage\n")
    assert replay(session.session_id)[0] == 1


@pytest.mark.parametrize(
    ("column", "value"), [("performer_id", "somebody"), ("session_notes", "other"), ("start_time", "2020-01-01T00:00Z")]
)
def test_a_row_that_says_something_else_is_a_field_mismatch(column, value):
    session = make_session()
    Session.objects.update(**{column: value})
    code, out = replay(session.session_id)
    assert code == 1
    assert "field_mismatch" in out[0]
    assert column in out[0] or "timestamp" in out[0]


@pytest.mark.parametrize("arguments", [("sess_0123456789abcdef",), ("nonsense",), ("--user", "../x")])
def test_an_unknown_session_or_a_bad_id_is_exit_2(arguments):
    """SES-61."""
    assert replay(*arguments) == (2, [])


def test_reading_twice_gives_the_same_answer_and_writes_nothing():
    """SES-58."""
    session = story_of_four()
    rewrite(session, lambda raw: [raw[0], *raw[2:]])
    before = log_path("u1", session.session_id).read_bytes(), Session.objects.values().get()
    assert replay("--all") == replay("--all")
    assert (log_path("u1", session.session_id).read_bytes(), Session.objects.values().get()) == before


def test_export_gives_the_log_byte_for_byte(capfdbinary):
    session = story_of_four()
    call_command("export_log", session.session_id, no_progress=True)
    assert capfdbinary.readouterr().out == log_path("u1", session.session_id).read_bytes()


def in_place_of(log, what):
    """Put something that is no log where one stood."""
    copy = log.with_name("elsewhere")
    log.rename(copy)
    match what:
        case "directory":
            log.mkdir()
        case "link":
            log.symlink_to(copy)
        case "pipe":
            os.mkfifo(log)
        case "linked folder":
            copy.rename(log)
            log.parent.rename(log.parent.with_name("moved"))
            log.parent.symlink_to(log.parent.with_name("moved"))


@pytest.mark.parametrize("what", ["directory", "link", "pipe", "linked folder"])
def test_what_stands_in_place_of_a_log_is_told_and_the_others_are_examined(what):
    """SES-43, SES-59, SES-65: it is no log, though a link may lead to one; `--all` goes on."""
    session, other = story_of_four(), story_of_four("u2")
    in_place_of(log_path("u1", session.session_id), what)

    code, out = replay("--all")

    assert code == 1
    assert f"ok {other.session_id} events=4" in out
    assert [line for line in out if line.startswith(f"differs {session.session_id} log_missing ")]
    assert len(out) == 2


def test_a_root_that_is_no_directory_cannot_be_read(tmp_path, settings):
    """SES-61."""
    story_of_four()
    settings.LOG_ROOT = tmp_path / "file"
    settings.LOG_ROOT.write_text("")
    assert replay("--all")[0] == 2
