"""replay_capture and verify_features (GES-58 to GES-61, GES-81)."""

import io
import json

import numpy as np
import pytest

from gestures import artifacts, features
from gestures.models import FeatureRef
from sessions_app.models import Session
from tests.commands import run
from tests.factories import make_session
from tests.gestures.making import make_capture
from tests.logs import log_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    return make_session()


@pytest.fixture
def ref(session):
    return make_capture(session)


def rewrite(ref, array):
    """Another array in the file, and a row that vouches for it."""
    file = io.BytesIO()
    np.savez(file, **array)
    artifacts.resolve(ref.uri).write_bytes(file.getvalue())
    FeatureRef.objects.update(hash=artifacts.sha256(file.getvalue()))


def flip(ref):
    path = artifacts.resolve(ref.uri)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def relog(ref, change):
    """The session's log with its lines changed, as only a vandal would."""
    path = log_path(ref.user_id, ref.session_id)
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def misquote(lines):
    line = json.loads(lines[1])
    line["event"]["capture"]["intent"] = "eat"
    return [lines[0], json.dumps(line) + "\n"]


def test_replay_prints_the_contracts_lines(ref):
    """GES-58."""
    assert run("replay_capture", str(ref.record_id)) == (0, [
        f"record_id: {ref.record_id}",
        "shape: (5, 214)",
        f"hash: {ref.hash}",
        f"encoding: {ref.encoding}",
        "verdict: ok",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "word", "lines"),
    [
        (lambda ref: artifacts.resolve(ref.uri).unlink(), "file_missing", 3),
        (flip, "hash_mismatch", 4),  # an array whose checksum fails has no shape to trust
        (lambda ref: artifacts.resolve(ref.uri).write_bytes(b"short"), "hash_mismatch", 4),
        (lambda ref: rewrite(ref, {"features": np.zeros((5, 214), "<f4"), "more": np.zeros(1)}), "not_npz", 4),
        (lambda ref: rewrite(ref, {"features": np.zeros((4, 214), "<f4")}), "bad_shape", 5),
        (lambda ref: rewrite(ref, {"features": np.zeros((5, 214), "<f8")}), "bad_shape", 5),
        (lambda ref: rewrite(ref, {"features": np.zeros(5, "<f4")}), "bad_shape", 5),
        (lambda ref: rewrite(ref, {"features": np.zeros((5, 213), "<f4")}), "dims_mismatch", 5),
        (lambda ref: relog(ref, lambda lines: lines[:1]), "event_missing", 5),
        (lambda ref: log_path(ref.user_id, ref.session_id).unlink(), "event_missing", 5),
        (lambda ref: relog(ref, lambda lines: [*lines, lines[1]]), "event_duplicate", 5),
        (lambda ref: relog(ref, misquote), "event_mismatch", 5),
    ],
)
def test_each_check_has_its_verdict(ref, spoil, word, lines):
    """GES-58, GES-81: the first failure is the verdict; what is known is still printed."""
    spoil(ref)
    code, said = run("replay_capture", str(ref.record_id))
    assert (code, said[-1], len(said)) == (1, f"verdict: {word}", lines)
    code, said = run("verify_features", "--all")
    assert code == 1
    assert said[0].startswith(f"{word} {ref.record_id} ")
    assert said[-1] == "verified=1 ok=0 failed=1 orphans=0"


@pytest.mark.parametrize("record_id", ["x", "7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22"])
def test_an_unknown_capture_is_exit_2(db, record_id):
    """GES-59."""
    assert run("replay_capture", record_id)[0] == 2


def test_scopes_of_verification(session, ref):
    """GES-60: a session, a user, all."""
    other = make_capture(make_session("u2"))
    flip(other)
    assert run("verify_features", "--session", session.session_id) == (0, ["verified=1 ok=1 failed=0 orphans=0"])
    assert run("verify_features", "--user", "u1")[0] == 0
    assert run("verify_features", "--user", "u2")[1][-1] == "verified=1 ok=0 failed=1 orphans=0"
    assert run("verify_features", "--all")[1][-1] == "verified=2 ok=1 failed=1 orphans=0"


@pytest.mark.parametrize(
    "arguments",
    [["--session", "x"], ["--session", "sess_" + "0" * 16], ["--user", "../x"]],
)
def test_bad_arguments_are_exit_2(db, arguments):
    """GES-59."""
    assert run("verify_features", *arguments)[0] == 2


def test_strays_are_named(session, ref):
    """GES-60: a file no row names does not fail the run; a line without a row does."""
    path = artifacts.resolve(ref.uri)
    stray = path.with_name("7f0f1f7e-6c6e-4b0e-8a0b-2f6f5b0a1d22.npz")
    stray.write_bytes(path.read_bytes())
    code, said = run("verify_features", "--all")
    assert (code, said[0].split()[:2], said[-1]) == (
        0, ["orphan_file", stray.stem], "verified=1 ok=1 failed=0 orphans=1",
    )  # fmt: skip
    FeatureRef.objects.all().delete()
    code, said = run("verify_features", "--all")
    assert code == 1
    assert [line.split()[0] for line in said[:-1]] == ["row_missing", "orphan_file", "orphan_file"]
    assert said[-1] == "verified=0 ok=0 failed=1 orphans=2"


def test_files_of_a_session_that_is_gone_are_orphans(ref):
    """GES-60: in the scope of all, whether or not a row leads to their directory."""
    path = artifacts.resolve(ref.uri)
    FeatureRef.objects.all().delete()
    Session.objects.all().delete()
    assert run("verify_features", "--user", ref.user_id) == (0, ["verified=0 ok=0 failed=0 orphans=0"])
    assert run("verify_features", "--all") == (0, [
        f"orphan_file {path.stem} a file, and no session {ref.session_id}", "verified=0 ok=0 failed=0 orphans=1",
    ])  # fmt: skip


def test_verification_in_json(ref):
    """OPS-62: one object per line, nothing else."""
    flip(ref)
    code, said = run("verify_features", "--all", "--json")
    found = [json.loads(line) for line in said]
    assert (code, found[0]["verdict"], found[-1]["failed"]) == (1, "hash_mismatch", 1)
    shown = json.loads(run("replay_capture", str(ref.record_id), "--json")[1][0])
    assert (shown["verdict"], shown["shape"]) == ("hash_mismatch", None)


def test_nothing_is_changed_by_looking(session, ref):
    """GES-60."""
    before = features.event_of(ref)
    flip(ref)
    run("verify_features", "--all")
    run("replay_capture", str(ref.record_id))
    assert features.event_of(FeatureRef.objects.get()) == before
