"""Golf in the Django admin: staff may look, nobody may change (OPS-40)."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.routing.playing import Golfer, at

pytestmark = pytest.mark.django_db
PAGES = ("hole", "holestate", "advicegiven")


@pytest.fixture
def staff(golfer: Golfer) -> Client:
    """A superuser's browser, after somebody has played."""
    golfer.start(3, ball_wgs84=at(3, 10))
    golfer.ball(30)
    golfer.advice()
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="x"))
    return client


@pytest.mark.parametrize("page", PAGES)
def test_staff_see_the_list(staff, golfer, page):
    answer = staff.get(f"/admin/routing/{page}/?q={golfer.session_id[:9]}")

    assert answer.status_code == 200
    assert golfer.session_id in answer.content.decode()


def test_staff_see_how_far_a_change_of_surface_has_come(staff):
    assert "1/2" in staff.get("/admin/routing/holestate/").content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_nobody_adds_or_deletes(staff, page):
    assert staff.get(f"/admin/routing/{page}/add/").status_code == 403
    assert "delete_selected" not in staff.get(f"/admin/routing/{page}/").content.decode()
