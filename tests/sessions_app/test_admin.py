"""The staff's view of sessions: to read, never to write (OPS-40)."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="x" * 12))
    return client


def test_the_list_shows_and_finds_sessions(staff):
    session = make_session("u1")
    page = staff.get("/admin/sessions_app/session/", {"q": session.session_id[:10]})
    assert page.status_code == 200
    assert session.session_id in page.content.decode()
    assert "Baton" in page.content.decode()


@pytest.mark.parametrize("what", ["add/", "{}/delete/"])
def test_nothing_can_be_added_or_deleted_by_anyone(staff, what):
    session = make_session("u1")
    assert staff.get(f"/admin/sessions_app/session/{what.format(session.session_id)}").status_code == 403


def test_nothing_can_be_changed(staff):
    session = make_session("u1")
    answer = staff.post(f"/admin/sessions_app/session/{session.session_id}/change/", {"status": "closed"})
    session.refresh_from_db()
    assert (answer.status_code, session.status) == (403, "active")
