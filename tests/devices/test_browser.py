"""The examples of the protocol's documents as a browser runs them (DEV-76)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.factories import make_token

pytestmark = pytest.mark.browser

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(path).exists()), None)

# The first document's example, its sends waiting for the socket to open.
SENDS_AT_ONCE = """([url, token]) => new Promise(done => {
  const answers = [];
  const ws = new WebSocket(url);
  ws.onmessage = ({data}) => { if (answers.push(JSON.parse(data)) === 4) done(answers); };
  ws.onclose = () => done(answers);
  ws.onopen = () => {
    ws.send(JSON.stringify({
      type: 7, // AUTH
      payload: { token, device_id: 'device-456', device_type: 'mobile', device_name: 'iPhone 13' }
    }));
    ws.send(JSON.stringify({ type: 1, payload: { client_time: Date.now() } }));
    ws.send(JSON.stringify({ type: 5, payload: { key: 'meditation_progress', value: 80, operation: 'SET' } }));
    ws.send(JSON.stringify({ type: 12, payload: {} }));
  };
})"""

# The walk-through: a client that keeps the state and comes back.
FOLLOWS_THE_STATE = """([url, token]) => {
  let state = {}, seq = 0, epoch = null, attempt = 0;
  window.seen = () => ({ state, seq });
  (function connect() {
    const ws = window.ws = new WebSocket(url, ['baton.v1.json']);
    const send = (type, payload) => ws.send(JSON.stringify({ type, payload }));
    const resume = epoch && {resume: {epoch, seq}};
    ws.onopen = () => send(7, { token, device_id: 'device-456', device_type: 'web', ...resume });
    ws.onmessage = ({data}) => {
      const {type, payload: p} = JSON.parse(data);
      if (type === 8) { attempt = 0; if (!epoch) send(3, {}); }
      if (type === 4 && !p.too_large) { state = p.state_data; seq = p.seq; epoch = p.epoch; }
      if (type === 5) {
        if (p.epoch !== epoch && p.seq === 1) { state = {}; seq = 0; epoch = p.epoch; }
        if (p.epoch !== epoch || p.seq > seq + 1) return send(3, {});
        if (p.seq <= seq) return;
        Object.assign(state, p.changes); p.deleted_keys.forEach(k => delete state[k]); seq = p.seq;
      }
    };
    ws.onclose = () => setTimeout(connect, Math.random() * Math.min(1000 * 2 ** attempt++, 30000));
  })();
}"""


@pytest.fixture
def page(web) -> Iterator[Page]:
    """A page of the served host, so that its Origin is accepted (DEV-3)."""
    assert CHROMIUM, "Chromium is missing: install it to run the tests marked browser."
    with pytest.MonkeyPatch.context() as patched, sync_playwright() as playwright:
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's loop runs in this thread, none of ours does
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(bypass_csp=True)  # the page is nobody's, and may connect to nothing
        opened.goto(f"{web.url}/livez")
        yield opened
        browser.close()


@pytest.fixture
def where(web, user) -> list[str]:
    """What the scripts are given."""
    return [f"{web.url.replace('http', 'ws', 1)}/ws", make_token(user)]


def test_sends_at_once(page, where):
    """DEV-12, DEV-76: handled in order, without waiting for AUTH_SUCCESS."""
    answers = page.evaluate(SENDS_AT_ONCE, where)

    assert [answer["type"] for answer in answers] == [8, 2, 5, 12]
    assert answers[2]["payload"]["changes"] == {"meditation_progress": 80}
    assert [one["device_name"] for one in answers[3]["payload"]["devices"]] == ["iPhone 13"]


def test_follows_the_state(page, where, device):
    """DEV-41, DEV-50, DEV-68: from a snapshot or from nothing, through every update, and after a break."""
    phone = device("phone")
    phone.set("before", 1)
    page.evaluate(FOLLOWS_THE_STATE, where)
    page.wait_for_function("seen().seq === 1")
    phone.set("mood", "calm")
    phone.call(5, {"key": "before", "operation": "DELETE"})
    page.wait_for_function("seen().seq === 3")
    assert page.evaluate("seen().state") == {"mood": "calm"}

    page.evaluate("ws.close()")
    last = phone.set("mood", None)["payload"]["seq"]
    page.wait_for_function(f"seen().seq === {last}")
    assert page.evaluate("seen().state") == {"mood": None}
