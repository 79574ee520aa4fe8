"""Tokens, their rotation and their revocation (OPS-16 to OPS-24)."""

import base64
import datetime as dt
import json
import re
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection

from sessions_app.access import logins
from sessions_app.models import RefreshTicket
from tests.clients import Api
from tests.factories import make_token

pytestmark = pytest.mark.django_db

TOKEN, REFRESH, REVOKE = "/auth/token", "/auth/refresh", "/auth/revoke"
VALIDATE = "/session_manager/sessions.validate"


@pytest.fixture
def nobody():
    return Api()


@pytest.fixture
def person():
    return User.objects.create_user("demo-user", password="correct horse battery")


def status_with(token):
    """What a request with this token gets."""
    answer = Api(token).post(VALIDATE, {"user_id": "x", "session_id": "sess_0123456789abcdef"})
    return answer.status_code


def signed(secret=None, algorithm="HS256", **over):
    now = dt.datetime.now(dt.UTC)
    claims = {
        "token_type": "access", "user_id": "u1", "roles": ["user"], "jti": "j1",
        "iat": now, "exp": now + dt.timedelta(minutes=15), **over,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not ...}
    return jwt.encode(claims, settings.JWT_SECRET if secret is None else secret, algorithm=algorithm)


def test_a_password_gives_the_documented_pair(nobody, person):
    """OPS-18."""
    answer = nobody.post(TOKEN, {"username": "demo-user", "password": "correct horse battery", "device_id": "d1"})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    pair = answer.json()
    assert list(pair) == [
        "access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in", "user_id", "roles",
        "device_id", "session_id",
    ]  # fmt: skip
    assert (pair["expires_in"], pair["refresh_expires_in"], pair["roles"]) == (900, 604800, ["user"])
    assert status_with(pair["access_token"]) == 200


def test_claims_are_those_of_the_contract(person, nobody):
    """CON-10."""
    pair = nobody.post(TOKEN, {"username": "demo-user", "password": "correct horse battery"}).json()
    claims = jwt.decode(pair["access_token"], settings.JWT_SECRET, algorithms=["HS256"])
    assert set(claims) == {"token_type", "user_id", "roles", "fam", "jti", "iat", "exp"}
    assert (claims["token_type"], claims["exp"] - claims["iat"]) == ("access", 900)


def test_roles_come_from_groups_and_the_superuser_flag(nobody, person):
    person.groups.add(Group.objects.create(name="operator"))
    person.is_superuser = True
    person.save()
    pair = nobody.post(TOKEN, {"username": "demo-user", "password": "correct horse battery"}).json()
    assert pair["roles"] == ["admin", "operator", "user"]


@pytest.mark.parametrize(
    ("username", "password"),
    [("demo-user", "wrong"), ("nobody", "correct horse battery"), ("locked", "correct horse battery"), ("bare", "x")],
)
def test_every_failed_sign_in_looks_the_same(nobody, person, username, password):
    """OPS-19."""
    User.objects.create_user("locked", password="correct horse battery", is_active=False)
    User.objects.create_user("bare")
    answer = nobody.post(TOKEN, {"username": username, "password": password})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_CREDENTIALS")
    assert answer.json()["detail"] == "The name or the password is wrong, or the account cannot sign in."


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: signed(secret="x" * 40), id="forged"),
        pytest.param(lambda: signed(secret="", algorithm="none"), id="alg none"),
        pytest.param(lambda: signed(algorithm="HS512"), id="another algorithm"),
        pytest.param(lambda: signed(exp=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)), id="expired by a second"),
        pytest.param(lambda: signed(token_type="refresh"), id="a refresh token"),
        pytest.param(lambda: signed(user_id="../x"), id="hostile user"),
        pytest.param(lambda: signed(roles=["root"]), id="unknown role"),
        pytest.param(lambda: signed(user_id=...), id="nobody"),
        pytest.param(lambda: signed(exp=...), id="without end"),
        pytest.param(lambda: signed(note="x" * 5000), id="too long"),
        pytest.param(lambda: "not.a.token", id="no token"),
    ],
)
def test_a_bad_token_is_401_and_all_look_alike(token):
    """OPS-16, OPS-17."""
    answer = Api(token()).post(VALIDATE, {})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.json()["detail"] == "The credential is missing, malformed, expired or revoked."


def test_a_token_of_another_issuer_with_our_key_is_valid_without_family_and_roles():
    """OPS-16."""
    assert status_with(signed(roles=...)) == 200


def test_roles_are_not_taken_from_a_tampered_payload():
    head, _, signature = make_token("u1").split(".")
    payload = base64.urlsafe_b64encode(json.dumps({"user_id": "u1", "roles": ["admin"]}).encode()).decode().rstrip("=")
    assert status_with(f"{head}.{payload}.{signature}") == 401


def test_an_admin_mints_any_roles_and_a_service_only_user(service):
    """OPS-18's table."""
    admin = Api(make_token("root", roles=("user", "admin")))
    minted = admin.post(TOKEN, {"user_id": "u9", "roles": ["operator", "user"]})
    assert (minted.status_code, minted.json()["roles"]) == (200, ["operator", "user"])
    assert service.post(TOKEN, {"user_id": "u9"}).json()["roles"] == ["user"]
    refused = service.post(TOKEN, {"user_id": "u9", "roles": ["admin"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")


def test_a_person_gets_a_token_for_a_device_of_its_own(api):
    own = api.post(TOKEN, {"user_id": "u1", "device_id": "d2"})
    assert (own.status_code, own.json()["device_id"]) == (200, "d2")
    assert api.post(TOKEN, {"user_id": "u2", "device_id": "d2"}).json()["code"] == "FORBIDDEN"
    assert api.post(TOKEN, {"user_id": "u1"}).json()["code"] == "FORBIDDEN"


def test_minting_needs_a_credential_and_mixed_members_are_refused(nobody, api):
    assert nobody.post(TOKEN, {"user_id": "u1"}).status_code == 401
    assert api.post(TOKEN, {"user_id": "u1", "device_id": "d", "password": "x"}).json()["code"] == "FIELD_UNKNOWN"


def test_refresh_rotates_and_keeps_device_session_and_family(nobody):
    """OPS-20."""
    old = logins.begin("u1", device_id="d1", session_id="sess_0123456789abcdef")
    new = nobody.post(REFRESH, {"refresh_token": old["refresh_token"]}).json()
    assert (new["device_id"], new["session_id"]) == ("d1", "sess_0123456789abcdef")
    families = {jwt.decode(p["access_token"], settings.JWT_SECRET, ["HS256"])["fam"] for p in (old, new)}
    assert len(families) == 1
    assert status_with(new["access_token"]) == 200


def test_a_spent_refresh_token_kills_the_newer_pair_too(nobody):
    """OPS-20, OPS-83."""
    old = logins.begin("u1")
    new = nobody.post(REFRESH, {"refresh_token": old["refresh_token"]}).json()
    for _ in range(2):
        reused = nobody.post(REFRESH, {"refresh_token": old["refresh_token"]})
        assert (reused.status_code, reused.json()["code"]) == (401, "REFRESH_REUSED")
    assert nobody.post(REFRESH, {"refresh_token": new["refresh_token"]}).json()["code"] == "REFRESH_INVALID"


@pytest.mark.django_db(transaction=True)
def test_a_revoked_access_token_is_refused_at_once(nobody):
    """OPS-22."""
    old = logins.begin("u1")
    new = nobody.post(REFRESH, {"refresh_token": old["refresh_token"]}).json()
    assert status_with(new["access_token"]) == 200
    nobody.post(REFRESH, {"refresh_token": old["refresh_token"]})
    assert status_with(new["access_token"]) == 401


def test_refresh_tokens_that_are_none(nobody):
    access = logins.begin("u1")["access_token"]
    for bad in (access, "x", "x" * 5000):
        assert nobody.post(REFRESH, {"refresh_token": bad}).json()["code"] == "REFRESH_INVALID"


def test_an_expired_refresh_token_says_so(nobody):
    with time_machine.travel("2020-01-01T00:00:00Z"):
        old = logins.begin("u1")
    assert nobody.post(REFRESH, {"refresh_token": old["refresh_token"]}).json()["code"] == "REFRESH_EXPIRED"


def test_only_hashes_of_refresh_tokens_are_kept():
    """OPS-23."""
    pair = logins.begin("u1")
    stored = [str(value) for row in RefreshTicket.objects.values() for value in row.values()]
    assert all(pair["refresh_token"] not in value for value in stored)
    assert re.fullmatch(r"[0-9a-f]{64}", RefreshTicket.objects.get().sha256)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_refreshes_exactly_one_succeeds(nobody):
    """OPS-20."""
    old = logins.begin("u1")

    def refresh_once(_):
        try:
            return Api().post(REFRESH, {"refresh_token": old["refresh_token"]}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(refresh_once, range(8))) == [200] + [401] * 7


@pytest.mark.django_db(transaction=True)
def test_revoke_of_the_own_family_by_nothing():
    """OPS-21."""
    pair = logins.begin("u1")
    other = logins.begin("u1")
    answer = Api(pair["access_token"]).post(REVOKE, {})
    assert (answer.status_code, answer.json()["revoked"]) == (200, 1)
    assert (status_with(pair["access_token"]), status_with(other["access_token"])) == (401, 200)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "dead"), [({"device_id": "d1"}, [True, False]), ({"all": True}, [True, True])], ids=["device", "all"]
)
def test_revoke_by_device_and_of_everything(body, dead):
    pairs = [logins.begin("u1", device_id="d1"), logins.begin("u1", device_id="d2")]
    assert Api(pairs[1]["access_token"]).post(REVOKE, body).json()["revoked"] == sum(dead)
    assert [status_with(pair["access_token"]) == 401 for pair in pairs] == dead


@pytest.mark.django_db(transaction=True)
def test_a_token_without_a_family_is_revoked_alone():
    mine, other = signed(jti="a"), signed(jti="b")
    assert Api(mine).post(REVOKE, {}).json()["revoked"] == 1
    assert (status_with(mine), status_with(other)) == (401, 200)


def test_a_foreign_refresh_token_revokes_nothing(api):
    theirs = logins.begin("u2")
    assert api.post(REVOKE, {"refresh_token": theirs["refresh_token"]}).json()["revoked"] == 0
    assert api.post(REVOKE, {"user_id": "u2", "all": True}).json()["code"] == "FORBIDDEN"


def test_a_wrong_api_key_beside_a_good_token_is_401(api):
    """OPS-24: with both, both must be valid."""
    answer = api.post(VALIDATE, {}, **{"X-API-Key": "wrong"})
    assert answer.status_code == 401
