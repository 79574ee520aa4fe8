"""Captures in the Django admin: to look at, never to change (GES-52)."""

from typing import Any

from django.contrib import admin

from gestures.models import FeatureRef


@admin.register(FeatureRef)
class FeatureRefAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: the log is the record."""

    list_display = ["record_id", "user_id", "session_id", "frames", "duration_s", "intent", "created_at"]
    list_filter = ["created_at"]
    search_fields = ["record_id__exact", "session_id", "user_id"]
    list_select_related = False

    def has_add_permission(self, request: Any) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody."""
        return False
