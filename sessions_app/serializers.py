"""Wire shapes of the boundary endpoints, in the order of the contract's tables (SES-9, SES-15, SES-48, SES-50)."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from sessions_app import events
from sessions_app.errors import PerformerRequired, SourceInvalid
from sessions_app.events import BOUNDARY_SOURCE
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import (
    ActorId,
    Flag,
    Forbidden,
    OneOf,
    RecordId,
    SchemaVersion,
    SessionId,
    Text,
    Timestamp,
    WireField,
)


@extend_schema_field(OpenApiTypes.STR)
class EventName(WireField):
    """The source or the kind of an event, held to `has_form`."""

    def __init__(self, has_form: Callable[[object], bool], **kwargs: Any) -> None:
        self.has_form = has_form
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """A name of SES-48."""
        if not self.has_form(value):
            raise ValueError("must be lower-case letters, digits and _ (dots in an event), beginning with a letter")
        return str(value)


class StartSessionIn(WireSerializer):
    """Body of `sessions.start`."""

    schema_version = SchemaVersion()
    record_id = RecordId()
    user_id = ActorId()
    performer_id = ActorId(missing_code=PerformerRequired.code)
    source = OneOf(BOUNDARY_SOURCE, code=SourceInvalid.code, required=False)  # type: ignore[assignment]  # a wire name
    is_training_data = Flag(required=False)
    session_notes = Text(most=4000, required=False)
    training_intent_label = Text(least=1, most=128, required=False)
    device_id = ActorId(required=False)
    consent_given = Flag(required=False)
    is_demo = Flag(required=False)
    timestamp = Forbidden()
    start_time = Forbidden()
    session_id = Forbidden()


class EndSessionIn(WireSerializer):
    """Body of `sessions.end`."""

    schema_version = SchemaVersion()
    record_id = RecordId()
    user_id = ActorId()
    performer_id = ActorId(missing_code=PerformerRequired.code)
    session_id = SessionId()
    source = OneOf(BOUNDARY_SOURCE, code=SourceInvalid.code, required=False)  # type: ignore[assignment]  # a wire name
    end_time = Timestamp(required=False)
    timestamp = Forbidden()
    end_reason = Forbidden()


class ValidateSessionIn(WireSerializer):
    """Body of `sessions.validate`."""

    user_id = ActorId()
    session_id = SessionId()


class SessionHeaderIn(WireSerializer):
    """The members every request that acts within a session carries at its top level (SES-50).

    `timestamp` is the sender's clock: required here and informative, forbidden where the server keeps the time.
    """

    user_id = ActorId()
    session_id = SessionId()
    timestamp = Timestamp()
    record_id = RecordId()
    performer_id = ActorId(missing_code=PerformerRequired.code)
    device_id = ActorId(required=False)
    consent_given = Flag(required=False)
    is_demo = Flag(required=False)


class AppendEventIn(WireSerializer):
    """Body of `/schema-recorder/append`: one event; members beyond these are kept as given (SES-48)."""

    keeps_unknown_members = True

    schema_version = SchemaVersion()
    record_id = RecordId(version=4)
    user_id = ActorId()
    session_id = SessionId()
    timestamp = Timestamp()
    source = EventName(events.is_source)  # type: ignore[assignment]  # a wire name
    performer_id = ActorId(missing_code=PerformerRequired.code)
    event = EventName(events.is_kind)
    modality = OneOf(*(modality for modality in events.MODALITIES if modality), required=False)
