"""Bodies of the state endpoints, members in the order of the contract (STA-21, STA-30, STA-35)."""

from sessions_app.errors import UnknownStrategy
from sessions_app.fields import ActorId, JsonObject, Keys, OneOf, SessionId, Text, Whole
from sessions_app.merge import STRATEGIES
from sessions_app.wire import WireSerializer

APP_VERSION_LENGTH = 64  # STA-18


class SaveSnapshotIn(WireSerializer):
    """Body of `POST /session/snapshot`."""

    session_id = SessionId()
    user_id = ActorId()
    state_data = JsonObject()
    device_id = ActorId(required=False)
    app_version = Text(most=APP_VERSION_LENGTH, required=False)
    version = Whole(required=False)


class UpdateStateIn(WireSerializer):
    """Body of `POST /session/incremental`."""

    session_id = SessionId()
    user_id = ActorId()
    base_version = Whole()
    device_id = ActorId(required=False)
    changes = JsonObject(required=False)
    deleted_keys = Keys(required=False)
    app_version = Text(most=APP_VERSION_LENGTH, required=False)


class ResolveConflictIn(WireSerializer):
    """Body of `POST /session/conflict/resolve`."""

    session_id = SessionId()
    client_version = Whole()
    client_state = JsonObject()
    resolution_strategy = OneOf(*STRATEGIES, code=UnknownStrategy.code)
    device_id = ActorId(required=False)
    deleted_keys = Keys(required=False)
