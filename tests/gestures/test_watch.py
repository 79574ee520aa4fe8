"""Raw frames reach no disk, no store and no log (GES-2, GES-74): watched while real processes take whole captures."""

import secrets
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection

from tests.captures import BOUNDARY, capture, make_meta, make_open, multipart, padded_jpeg
from tests.factories import make_session, make_token
from tests.processes import WebProcess
from tests.watching import OpenFiles, Watch, children

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = (640, 480)


def marked_jpegs(mark, count):
    """Pictures of 150,000 bytes that carry `mark` where any copy of them would show it."""
    plain = padded_jpeg(150_000 - len(mark) - 4, SIZE)
    return [plain[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark + plain[2:]] * count


def over_socket(web, session, jpegs):
    outcome = capture(web.url, make_token("u1"), make_open(session, width=SIZE[0], height=SIZE[1]), jpegs)
    assert outcome["event"] == "capture.completed", outcome
    return outcome["record_id"]


def over_http(web, session, jpegs):
    meta = make_meta(session, jpegs, width=SIZE[0], height=SIZE[1], duration_ms=3000)
    headers = {
        "Authorization": f"Bearer {make_token('u1')}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    answer = httpx.post(
        f"{web.url}/camera_feed_worker/captures", content=multipart(meta, jpegs), headers=headers, timeout=60
    )
    assert answer.status_code == 201, answer.text
    return meta["record_id"]


def test_only_the_artefact_and_the_log_are_written(tmp_path):
    """GES-74, over both transports: temporary NPZ, NPZ, log and chain; nothing in any place for temporary files."""
    session, mark = make_session(), secrets.token_hex(32).encode()
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    env = {"DEBUG": "true", "EXTRACTOR_URL": "local:", "EXTRACTOR_BACKEND": "fake", "EXTRACTOR_WORKERS": "1",
           "HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    roots = [home, temporary, Path(settings.DATA_ROOT), Path(settings.LOG_ROOT)]
    with WebProcess(**env) as web:
        assert web.process is not None
        for transport in (over_socket, over_http):
            transport(web, session, marked_jpegs(b"warming up", 2))  # what is imported or connected lazily, is now
            processes = [web.process.pid, *children(web.process.pid)]
            with Watch(roots) as watch, OpenFiles(processes) as opened:
                record_id = transport(web, session, marked_jpegs(mark, 30))
            allowed = (f"{record_id}.npz", f".{record_id}.", f"{session.session_id}.")  # the log and its chain
            written = {path.name for path in watch.written}
            assert {name for name in written if not name.startswith(allowed)} == set(), transport
            opened_names = {Path(path).name for path in opened.written}
            assert {name for name in opened_names if not name.startswith(allowed)} == set(), transport
            assert f"{record_id}.npz" in written  # the watch did watch
        web.process.terminate()
        web.process.wait(20)
        said = web.output()

    assert mark.decode() not in said
    assert [path for path in places() if mark in path.read_bytes()] == []


def places():
    """Every file of this test's roots, and of the database server if this user may read them."""
    roots = [Path(settings.DATA_ROOT), Path(settings.LOG_ROOT)]
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SHOW data_directory")
        roots.append(Path(cursor.fetchone()[0]))
    for root in roots:
        for path in root.rglob("*"):
            try:
                if path.is_file():
                    path.open("rb").close()
                    yield path
            except OSError:
                continue


def test_the_watch_itself_sees_what_it_is_for(tmp_path):
    """A spooled upload of Django's own kind would be found."""
    with Watch([tmp_path]) as watch:
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "frame.jpg").write_bytes(b"x")
        (tmp_path / "tmpabc").write_bytes(b"x")
        (tmp_path / "tmpabc").unlink()
    assert {path.name for path in watch.written} == {"frame.jpg", "tmpabc"}
