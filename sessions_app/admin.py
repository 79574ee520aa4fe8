"""Sessions as staff see them: a mirror of the log, so nothing can be added, changed or deleted here (OPS-40)."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from sessions_app.models import Session


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """Newest activity first; found by the beginning of a session or user id."""

    list_display = ("session_id", "user_id", "status", "exclusive", "opened_via", "start_time", "last_activity_at")
    list_filter = ("status", "exclusive", "opened_via", "is_demo")
    search_fields = ("session_id__startswith", "user_id__startswith")
    ordering = ("-last_activity_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False
