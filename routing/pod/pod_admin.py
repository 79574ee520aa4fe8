"""Pods and their chats as staff see them, to read (OPS-38, OPS-40): what was said is not shown."""

from django.contrib import admin

from routing.models import ChatMessage, Pod, PodTransition
from sessions_app.mirrors import Mirror, MirrorInline


class TransitionInline(MirrorInline):
    """Every change of the pod's state and why."""

    model = PodTransition
    fields = ("at", "from_state", "to_state", "reason")
    ordering = ("-pk",)


@admin.register(Pod)
class PodAdmin(Mirror):
    """With the last lines of a pod that did not start (POD-51)."""

    list_display = ("session_id", "state", "reason", "desired", "since", "unsettled", "last_activity_at")
    list_filter = ("state", "desired", "attached")
    search_fields = ("session__session_id__startswith", "session__user_id__startswith")
    ordering = ("-last_activity_at",)
    exclude = ("idempotency_key", "idempotency_digest")
    inlines = (TransitionInline,)


@admin.register(ChatMessage)
class ChatMessageAdmin(Mirror):
    """The outline of a chat: when, by whom, with what outcome."""

    list_display = ("message_id", "pod", "seq", "status", "attempts", "error_code", "created_at", "settled_at")
    list_filter = ("status", "error_code")
    search_fields = ("message_id__startswith", "pod__session__session_id__startswith")
    ordering = ("-created_at",)
    exclude = ("text", "response", "idempotency_key", "idempotency_digest")
