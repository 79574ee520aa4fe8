"""Golf in the Django admin: holes, their state, the advice given; to look at, never to change (OPS-40)."""

from django.contrib import admin

from routing.golf.golf_models import AdviceGiven, Hole, HoleState
from sessions_app.mirrors import Mirror


@admin.register(Hole)
class HoleAdmin(Mirror):
    """Which hole each session plays or played."""

    list_display = ("session_id", "course_id", "hole_id", "dtm_id", "competition_mode", "started_at", "ended_at")
    list_filter = ("course_id", "competition_mode", "started_at")
    search_fields = ("session__session_id__startswith",)
    ordering = ("-started_at",)


@admin.register(HoleState)
class HoleStateAdmin(Mirror):
    """What the `db` store holds, and until when."""

    list_display = ("session_id", "surface", "confidence", "streak", "expires_at")
    search_fields = ("session__session_id__startswith",)
    ordering = ("-expires_at",)

    @admin.display(description="surface")
    def surface(self, row: HoleState) -> str:
        """As the last sample reported it."""
        return str(row.document["memory"]["reported"])

    @admin.display(description="confidence")
    def confidence(self, row: HoleState) -> float:
        """As the last sample reported it."""
        return float(row.document["memory"]["reported_confidence"])

    @admin.display(description="streak")
    def streak(self, row: HoleState) -> str:
        """Candidates towards a change, of those it takes."""
        memory = row.document["memory"]
        return f"{memory['streak']}/{memory['needed']}" if memory["streak"] else ""


@admin.register(AdviceGiven)
class AdviceGivenAdmin(Mirror):
    """How each call for advice within a session was answered."""

    list_display = (
        "session_id", "at", "course_id", "hole_id", "surface_state", "surface_confidence", "streak", "plan_type",
        "service", "outcome", "duration_ms",
    )  # fmt: skip
    list_filter = ("plan_type", "service", "outcome", "surface_state", "at")
    search_fields = ("session__session_id__startswith", "request_id__startswith")
    ordering = ("-at",)
