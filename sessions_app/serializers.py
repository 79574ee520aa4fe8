"""Wire shapes of the boundary endpoints, members in the order of the contract's tables (SES-9, SES-15, SES-22)."""

from sessions_app.errors import PerformerRequired, SourceInvalid
from sessions_app.events import BOUNDARY_SOURCE
from sessions_app.fields import ActorId, Flag, Forbidden, OneOf, RecordId, SchemaVersion, SessionId, Text, Timestamp
from sessions_app.wire import WireSerializer


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
