"""Wire shapes of the state endpoints, members in the order of the contract (STA-20 to STA-54).

The shapes that come in are enforced; those that go out are for the documents: answers.py prints them.
"""

from typing import Any

from rest_framework import serializers

from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import ActorId, JsonObject, Keys, OneOf, SessionId, Text, Whole
from sessions_app.state.merge import STRATEGIES
from sessions_app.state.state_errors import UnknownStrategy

APP_VERSION_LENGTH = 64  # STA-18
SOURCES = ("snapshot", "incremental", "patch", "resolve", "ws")


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


class MergePatchIn(serializers.Serializer[Any]):
    """Body of `PATCH /session/{id}`: any object (RFC 7396), or an array of operations (RFC 6902)."""


class SnapshotOut(serializers.Serializer[Any]):
    """A state (STA-20)."""

    session_id = serializers.CharField()
    user_id = serializers.CharField()
    state_data = serializers.DictField()
    version = serializers.IntegerField(min_value=1)
    epoch = serializers.UUIDField()
    checksum = serializers.RegexField("^[0-9a-f]{64}$")
    device_id = serializers.CharField(allow_null=True)
    app_version = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_updated = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    compressed = serializers.BooleanField()
    size_bytes = serializers.IntegerField()
    stored_bytes = serializers.IntegerField()


class AppliedKeysOut(serializers.Serializer[Any]):
    """The keys a write touched (STA-32)."""

    changed = serializers.ListField(child=serializers.CharField())
    deleted = serializers.ListField(child=serializers.CharField())


class AppliedOut(SnapshotOut):
    """A state, and what made it."""

    applied = AppliedKeysOut()


class ClashOut(serializers.Serializer[Any]):
    """One conflict (STA-40); the flags of absent sides are left out when false."""

    path = serializers.CharField()
    base = serializers.JSONField()  # null is a value too
    server = serializers.JSONField()  # null is a value too
    client = serializers.JSONField()  # null is a value too
    chosen = serializers.ChoiceField(["server", "client"])
    base_absent = serializers.BooleanField(required=False)
    server_absent = serializers.BooleanField(required=False)
    client_absent = serializers.BooleanField(required=False)


class ResolvedOut(SnapshotOut):
    """A state after resolution (STA-45)."""

    resolution_strategy = serializers.ChoiceField(STRATEGIES)
    base = serializers.ChoiceField(["known", "unknown"])
    client_version = serializers.IntegerField()
    conflicts = ClashOut(many=True)
    changed = serializers.BooleanField()
    resolved_state = serializers.DictField()


class VersionOut(serializers.Serializer[Any]):
    """One entry of the operation log (STA-53)."""

    version = serializers.IntegerField()
    checksum = serializers.CharField()
    created_at = serializers.DateTimeField()
    source = serializers.ChoiceField(SOURCES)  # type: ignore[assignment]  # a wire name
    device_id = serializers.CharField(allow_null=True)
    performer_id = serializers.CharField()
    op_id = serializers.CharField(allow_null=True)
    keys_changed = serializers.ListField(child=serializers.CharField())
    keys_deleted = serializers.ListField(child=serializers.CharField())
    size_bytes = serializers.IntegerField()


class VersionsOut(serializers.Serializer[Any]):
    """A page of the operation log, newest first (STA-53)."""

    session_id = serializers.CharField()
    epoch = serializers.UUIDField()
    current_version = serializers.IntegerField()
    oldest_version = serializers.IntegerField()
    next_before = serializers.IntegerField(allow_null=True)
    versions = VersionOut(many=True)


class DifferenceOut(serializers.Serializer[Any]):
    """What leads from one version to another (STA-54)."""

    session_id = serializers.CharField()
    epoch = serializers.UUIDField()
    to = serializers.IntegerField()
    from_checksum = serializers.CharField()
    to_checksum = serializers.CharField()
    changes = serializers.DictField()
    deleted_keys = serializers.ListField(child=serializers.CharField())
    previous = serializers.DictField()

    def get_fields(self) -> dict[str, Any]:
        """`from` is no name in Python."""
        return {"from": serializers.IntegerField(), **super().get_fields()}
