"""Sessions as staff see them: a mirror of the log, so nothing can be added, changed or deleted here (OPS-40)."""

from django.contrib import admin

from sessions_app.mirrors import Mirror
from sessions_app.models import Session


@admin.register(Session)
class SessionAdmin(Mirror):
    """Newest activity first; found by the beginning of a session or user id."""

    list_display = ("session_id", "user_id", "status", "exclusive", "opened_via", "start_time", "last_activity_at")
    list_filter = ("status", "exclusive", "opened_via", "is_demo")
    search_fields = ("session_id__startswith", "user_id__startswith")
    ordering = ("-last_activity_at",)
