"""The demo pages in headless Chromium with a fake camera, against a real web process (GES-66 to GES-69)."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.conf import global_settings
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from gestures.models import FeatureRef
from sessions_app.models import Session
from tests.commands import run
from tests.factories import make_session
from tests.logs import events
from tests.processes import WebProcess

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(path).exists()), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
REFUSE_CAMERA = """() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
}"""
PASSWORD = "a-long-enough-password"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Chromium is missing: install it to run the tests marked browser."
    with pytest.MonkeyPatch.context() as patched, sync_playwright() as playwright:
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's loop runs in this thread, none of ours does
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *CAMERA])
        yield chromium
        chromium.close()


@pytest.fixture(params=["fake", "holistic"])
def backend(request) -> str:
    return request.param


def serving(backend="fake", **env: str) -> WebProcess:
    return WebProcess(DEBUG="true", EXTRACTOR_URL="local:", EXTRACTOR_BACKEND=backend, EXTRACTOR_WORKERS="1", **env)


class Visit:
    """One page with its complaints collected."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def click(self, identifier: str) -> None:
        self.page.locator(f"#{identifier}").click()

    def has(self, identifier: str, text: str | re.Pattern[str], timeout_s: float = 20) -> None:
        expect(self.page.locator(f"#{identifier}")).to_have_text(text, timeout=timeout_s * 1000)

    def value(self, identifier: str) -> str:
        return self.page.locator(f"#{identifier}").input_value()

    def enabled(self) -> set[str]:
        buttons = ("start-session", "end-session", "start-capture", "stop-capture")
        return {name for name in buttons if self.page.locator(f"#{name}").is_enabled()}

    def focus(self) -> tuple[str, str]:
        """Where the keyboard is, and how wide the ring around it is."""
        script = "[document.activeElement.id, getComputedStyle(document.activeElement).outlineWidth]"
        identifier, width = self.page.evaluate(script)
        return identifier, width

    def camera_is_off(self) -> bool:
        return bool(self.page.evaluate("document.getElementById('preview').srcObject === null"))


def sign_in(visit: Visit) -> None:
    visit.page.fill("#username", "u1")
    visit.page.fill("#password", PASSWORD)
    visit.click("sign-in-button")
    visit.has("signed-in", "signed in as u1")


@pytest.fixture
def account(db, settings):
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS[:1]  # the web process knows no quicker one
    get_user_model().objects.create_user("u1", password=PASSWORD)


def test_from_start_to_a_verified_hash_on_screen(browser, backend, account):
    """GES-69: start, capture 3 s, stop, completed, end; the log holds start, feature-ref, end; no console error."""
    with serving(backend) as web:
        visit = Visit(browser, f"{web.url}/demo/gesture")
        sign_in(visit)
        assert visit.enabled() == {"start-session"}
        visit.click("start-session")
        visit.has("status", "active")
        assert visit.enabled() == {"start-capture", "end-session"}
        visit.click("start-capture")
        visit.has("capture-status", "recording 0s", 40)
        assert visit.enabled() == set()
        visit.has("capture-status", "recording 3s")
        assert visit.enabled() == {"stop-capture"}
        visit.click("stop-capture")
        visit.has("capture-status", "completed", 60)
        session_id, shown = visit.value("session-id"), visit.value("artifact-hash")
        assert re.fullmatch("[0-9a-f]{64}", shown)
        assert visit.camera_is_off()
        visit.click("end-session")
        visit.has("status", "idle")
        assert visit.value("session-id") == ""
        assert visit.complaints == []
        assert [url for url in visit.requested if not url.startswith((web.url, web.url.replace("http", "ws")))] == []
        visit.context.close()

    ref = FeatureRef.objects.get()
    assert (str(ref.record_id), ref.hash, ref.session_id) == (str(ref.record_id), shown, session_id)
    assert 20 <= ref.frames <= 60
    kinds = [event["event"] for event in events("u1", session_id)]
    assert kinds == ["session.start", "raw_features.ready", "session.end"]
    assert run("replay_capture", str(ref.record_id))[1][-1] == "verdict: ok"


def test_frames_are_sent_as_the_camera_sees_them(browser):
    """GES-42, GES-67: the preview is mirrored, the canvas is not; both are 640 by 480."""
    with serving(AUTH_REQUIRED="false") as web:
        visit = Visit(browser, f"{web.url}/demo/gesture")
        visit.click("start-session")
        visit.click("start-capture")
        visit.has("capture-status", re.compile("recording"))
        transform = visit.page.locator("#preview").evaluate("e => getComputedStyle(e).transform")
        assert transform == "matrix(-1, 0, 0, 1, 0, 0)"
        visit.has("capture-status", "recording 2s")
        visit.click("stop-capture")
        visit.has("capture-status", "completed")
        visit.context.close()
    ref = FeatureRef.objects.get()
    assert (ref.width, ref.height) == (640, 480)


def test_a_refused_camera_is_told_in_a_sentence(browser):
    """GES-66, GES-69: the session stays, with its End button."""
    with serving(AUTH_REQUIRED="false") as web:
        visit = Visit(browser, f"{web.url}/demo/gesture")
        visit.page.evaluate(REFUSE_CAMERA)
        visit.click("start-session")
        visit.click("start-capture")
        visit.has("capture-status", "aborted")
        visit.has("error", re.compile("camera was refused"))
        visit.has("status", "error")
        assert visit.enabled() == {"start-capture", "end-session"}
        visit.click("end-session")
        visit.has("status", "idle")
        visit.has("error", "")
        visit.context.close()
    assert not FeatureRef.objects.exists()


def test_a_server_that_goes_away_is_told_in_a_sentence(browser):
    """GES-66, GES-69: the camera goes off; nothing is sent a second time."""
    with serving(AUTH_REQUIRED="false") as web:
        visit = Visit(browser, f"{web.url}/demo/gesture")
        visit.click("start-session")
        visit.click("start-capture")
        visit.has("capture-status", "recording 1s")
        web.kill()
        visit.has("capture-status", "aborted")
        visit.has("error", re.compile("connection closed unexpectedly"))
        assert visit.camera_is_off()
        assert visit.enabled() == {"start-capture", "end-session"}
        visit.click("end-session")
        visit.has("error", re.compile("cannot be reached"))
        assert visit.enabled() == {"start-capture", "end-session"}
        visit.context.close()
    assert Session.objects.get().is_active


def test_a_second_start_shows_the_problem(browser):
    """GES-66, GES-69: 409 with status, code, detail and request_id; reload clears everything."""
    make_session("demo-user")
    with serving(AUTH_REQUIRED="false") as web:
        visit = Visit(browser, f"{web.url}/demo/session")
        visit.click("start-session")
        visit.has("status", "error")
        visit.has("error", re.compile(r"409 SESSION_ALREADY_ACTIVE.*Request req-[0-9a-f]{12}", re.DOTALL))
        assert visit.value("session-id") == ""
        visit.page.reload()
        visit.has("error", "")
        visit.has("status", "idle")
        assert visit.page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        visit.context.close()


def test_without_signing_in_the_server_says_so(browser):
    """GES-63, GES-66."""
    with serving() as web:
        visit = Visit(browser, f"{web.url}/demo/gesture")
        visit.click("start-session")
        visit.has("error", re.compile("401 UNAUTHENTICATED"))
        assert visit.page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        visit.context.close()


def test_the_pages_fit_and_can_be_read(browser):
    """GES-68: usable at 320 px, contrast of at least 4.5:1, and by keyboard alone, with a visible focus."""
    next_step = {"session": "end-session", "gesture": "start-capture"}
    with serving(AUTH_REQUIRED="false") as web:
        for name, width, scheme in product(next_step, (320, 360, 1280), ("light", "dark")):
            case = (name, width, scheme)
            size = {"width": width, "height": 800}
            visit = Visit(browser, f"{web.url}/demo/{name}", viewport=size, color_scheme=scheme)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, case
            assert visit.page.evaluate(CONTRASTS) == [], case
            visit.page.keyboard.press("Tab")
            assert visit.focus() == ("user-id", "3px"), case
            visit.page.locator("#start-session").focus()
            visit.page.keyboard.press("Enter")
            visit.has("status", "active")
            expect(visit.page.locator(f"#{next_step[name]}")).to_be_focused()
            assert visit.focus() == (next_step[name], "3px"), case
            assert visit.page.evaluate(CONTRASTS) == [], case
            visit.click("end-session")
            visit.has("status", "idle")
            assert visit.focus()[0] == "start-session", case
            visit.context.close()


# Every text on the page whose contrast with the nearest opaque background is below 4.5:1 (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.offsetParent || e.tagName === 'NOSCRIPT') continue;
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push([e.id || e.className || e.tagName, contrast]);
  }
  return found;
}"""
