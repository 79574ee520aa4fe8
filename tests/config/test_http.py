"""What every answer has, whoever made it (OPS-51, OPS-57, OPS-59), over a real server."""

import httpx
import pytest

from tests.factories import make_token
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

SNAPSHOT = "/session/snapshot"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def web():
    """A web process."""
    with WebProcess() as web:
        yield web


@pytest.fixture(scope="module")
def bearer():
    return {"Authorization": f"Bearer {make_token('u1')}"}


def chunks(size):
    """A body without a declared length."""
    for _ in range(size // 65536):
        yield b" " * 65536


def test_a_server_answers_in_form_whatever_comes(bearer):
    with WebProcess() as web:
        flood = httpx.post(web.url + SNAPSHOT, content=b" " * 3_000_000, headers={**JSON, **bearer})
        stream = httpx.post(web.url + SNAPSHOT, content=chunks(5_000_000), headers={**JSON, **bearer}, timeout=30)
        nobody = httpx.post(web.url + SNAPSHOT, content=b" " * 3_000_000, headers=JSON)
        named = httpx.get(web.url + "/nowhere", headers={"X-Request-ID": "mine-1"})
        renamed = httpx.get(web.url + "/nowhere", headers={"X-Request-ID": "a b"})
        limited = httpx.post(
            web.url + "/session_manager/sessions.validate", json={"user_id": "u1"}, headers=bearer
        )  # fmt: skip
        web.kill()
        said = web.output()

    assert [answer.json()["code"] for answer in (flood, stream)] == ["BODY_TOO_LARGE"] * 2
    assert (nobody.status_code, nobody.json()["code"]) == (401, "UNAUTHENTICATED")
    assert (named.headers["x-request-id"], named.json()["request_id"]) == ("mine-1", "mine-1")
    assert renamed.headers["x-request-id"].startswith("req-")
    for answer in (flood, named, limited):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers
    assert '"route": "/session/snapshot"' in said
    assert bearer["Authorization"] not in said


def test_hosts_that_are_not_served_are_refused_everywhere(web):
    """ALLOWED_HOSTS: also by routes ahead of Django, or any page could lead its own name here."""
    routes = {"GET": ["/session/sess_0123456789abcdef", "/sessions"]}
    routes["POST"] = ["/session/snapshot", "/session_manager/sessions.end", "/camera_feed_worker/captures"]
    asked = [(method, web.url + path) for method, paths in routes.items() for path in paths]
    answers = [httpx.request(method, url, headers={"Host": "evil.example"}) for method, url in asked]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(400, "MALFORMED_JSON")}


def test_a_limit_is_told_on_every_answer_and_kept(api, settings):
    """STA-14, OPS-48."""
    settings.SESSION_RATE = "2/m"
    answers = [api.post("/session_manager/sessions.validate", {}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert [answer["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    refused = answers[2].json()
    assert (refused["code"], refused["limit"]) == ("RATE_LIMITED", "2/m")
    assert 1 <= refused["retry_after"] == int(answers[2]["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/vnd.oai.openapi"),
        ("*/*", "application/vnd.oai.openapi"),
        ("application/yaml", "application/yaml"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.9", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("image/png", "application/json"),
    ],
)
def test_the_schema_is_yaml_or_json_by_accept(api, accept, kind):
    """OPS-55; OPS-57: an Accept nothing satisfies gets JSON."""
    answer = api.get("/schema/", **({"Accept": accept} if accept else {}))
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, kind)
    assert answer.content.startswith(b"{" if kind.endswith("json") else b"openapi:")
