"""The rows of golf: the hole a session plays, what the `db` store holds of it, the advice it got (ADV-13 to ADV-34)."""

from django.db import models
from django.db.models import Q

from sessions_app.models import Session

KEY_LENGTH = 64  # course_id, green_id, dtm_id, request_id


class Hole(models.Model):
    """One hole played in a session, from its start to its end; the store knows how it stands."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="holes")
    course_id = models.CharField(max_length=KEY_LENGTH)
    hole_id = models.PositiveIntegerField()
    green_id = models.CharField(max_length=KEY_LENGTH)
    dtm_id = models.CharField(max_length=KEY_LENGTH)
    competition_mode = models.BooleanField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session"], condition=Q(ended_at=None), name="one_hole_at_a_time"),
        ]
        indexes = [models.Index(fields=["session", "-started_at"], name="hole_by_session")]

    def __str__(self) -> str:
        return f"{self.course_id}/{self.hole_id} of {self.session_id}"


class HoleState(models.Model):
    """What the `db` store holds of a session's hole; other stores hold the same document elsewhere (ADV-33)."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="hole_state")
    document = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.session_id


class AdviceGiven(models.Model):
    """One call for advice within a session, and how it was answered; without positions (ADV-24, OPS-52)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="advice")
    at = models.DateTimeField(db_index=True)
    request_id = models.CharField(max_length=KEY_LENGTH)
    course_id = models.CharField(max_length=KEY_LENGTH)
    hole_id = models.PositiveIntegerField()
    surface_state = models.CharField(max_length=10)
    surface_confidence = models.FloatField()
    streak = models.PositiveSmallIntegerField()
    needed = models.PositiveSmallIntegerField()
    competition_mode = models.BooleanField()
    plan_type = models.CharField(max_length=12, blank=True)  # empty when the call failed
    service = models.CharField(max_length=12)  # putt_solver, tee_to_green or none
    outcome = models.CharField(max_length=48)  # ok, a warning's code, or the problem's
    duration_ms = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["session", "-at"], name="advice_by_session")]

    def __str__(self) -> str:
        return f"{self.plan_type or self.outcome} for {self.session_id}"
