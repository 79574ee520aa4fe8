"""Captures in the Django admin: to look at, never to change (GES-52)."""

from django.contrib import admin

from gestures.models import FeatureRef
from sessions_app.mirrors import Mirror


@admin.register(FeatureRef)
class FeatureRefAdmin(Mirror):
    """Read-only: the log is the record."""

    list_display = ["record_id", "user_id", "session_id", "frames", "duration_s", "intent", "created_at"]
    list_filter = ["created_at"]
    search_fields = ["record_id__exact", "session_id", "user_id"]
