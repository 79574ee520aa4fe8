"""The demo pages as the server sends them (GES-62 to GES-64); tests marked `browser` drive them."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

BOTH = ("start-session", "end-session", "user-id", "performer-id", "session-id", "status", "error")
GESTURE = ("start-capture", "stop-capture", "record-id", "artifact-hash", "capture-status", "preview")
STATIC = Path(settings.BASE_DIR, "gestures/static/demo")


def page(name):
    answer = Client().get(f"/demo/{name}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(("name", "ids"), [("session", BOTH), ("gesture", BOTH + GESTURE)])
def test_a_page_has_its_controls_with_their_exact_text(name, ids):
    """GES-62, GES-64: no credential needed; each id once."""
    html = page(name)
    assert [identifier for identifier in ids if html.count(f'id="{identifier}"') != 1] == []
    texts = ["Start Session", "End Session"]
    texts += ["Capture Bounded Gesture (≤ 120s)", "Stop Capture"] if name == "gesture" else []
    assert [text for text in texts if not re.search(rf"<button[^>]*>{re.escape(text)}</button>", html)] == []
    assert 'name="robots" content="noindex"' in html


@pytest.mark.parametrize("name", ["session", "gesture"])
def test_nothing_is_inline_or_foreign(name):
    """GES-62: scripts and styles are static files of the project."""
    html = page(name)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", html)
    links = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert [link for link in links if not link.startswith("/static/demo/")] == []
    assert [link for link in links if not (STATIC / link.rsplit("/", 1)[1]).exists()] == []


def test_scripts_keep_nothing_and_call_nobody_else():
    """GES-63, GES-65: memory only, same origin, no retry."""
    for path in STATIC.glob("*.js"):
        text = path.read_text()
        assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie|https?://|innerHTML|eval\(", text)
    assert "url(" not in (STATIC / "demo.css").read_text()


@pytest.mark.parametrize("name", ["session", "gesture"])
def test_every_control_is_labelled(name):
    """GES-68: inputs in labels; live regions polite, the error assertive."""
    html = page(name)
    for field in re.findall(r"<(?:input|textarea)[^>]*>", html):
        assert re.search(rf"<label>[^<]+{re.escape(field)}", html), field
    assert html.count('aria-live="assertive"') == 1
    assert html.count('aria-live="polite"') == (2 if name == "gesture" else 1)


@pytest.mark.parametrize(("required", "shown"), [(True, True), (False, False)])
def test_the_form_for_signing_in_is_there_when_it_is_needed(settings, required, shown):
    """GES-63."""
    settings.AUTH_REQUIRED = required
    assert ('id="sign-in"' in page("gesture")) == shown


def test_the_pages_are_linked_from_nowhere():
    """GES-62: no template or document of the product but their own leads to them."""
    for path in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        assert "/demo/" not in path.read_text() or path.parent.name == "demo", path
