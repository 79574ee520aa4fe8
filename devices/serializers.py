"""Wire shapes of the device endpoints (DEV-34, DEV-52 to DEV-63, DEV-73)."""

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from sessions_app.fanout import frames
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import ActorId, JsonObject, OneOf, SessionId, Text, WireField

_TYPE = re.compile(r"[a-z_]{1,32}\Z", re.ASCII)
AUDIENCES = ("admin", "session", "user", "all")


@extend_schema_field(OpenApiTypes.STR)
class BroadcastType(WireField):
    """The type of an announcement; those the server uses itself are its own."""

    def read(self, value: Any) -> str:
        """A type of DEV-73."""
        if not isinstance(value, str) or not _TYPE.match(value):
            raise ValueError("must have 1 to 32 of a-z and _")
        if value in frames.RESERVED:
            raise ValueError("is a type that only the server sends")
        return value


class OfferHandoffIn(WireSerializer):
    """Body of `POST /session/{id}/handoff`."""

    source_device = ActorId()
    target_device = ActorId()


class BroadcastIn(WireSerializer):
    """Body of `POST /admin/broadcast`."""

    message = Text(least=1, most=4096, blank_is_missing=True)
    type = BroadcastType(required=False)
    data = JsonObject(required=False)  # type: ignore[assignment]  # a wire name
    audience = OneOf(*AUDIENCES, required=False)
    session_id = SessionId(required=False)
    user_id = ActorId(required=False)


class DeviceOut(serializers.Serializer[Any]):
    """A DeviceInfo (DEV-34)."""

    device_id = serializers.CharField()
    device_type = serializers.CharField(allow_null=True)
    device_name = serializers.CharField(allow_null=True)
    os_version = serializers.CharField(allow_null=True)
    app_version = serializers.CharField(allow_null=True)
    session_id = serializers.CharField()
    user_id = serializers.CharField()
    connected_at = serializers.DateTimeField(allow_null=True)
    last_seen = serializers.DateTimeField()
    is_online = serializers.BooleanField()
    connection_id = serializers.CharField(allow_null=True)


class DevicesOut(serializers.Serializer[Any]):
    """Answer of `GET /session/{id}/devices`."""

    session_id = serializers.CharField()
    devices = DeviceOut(many=True)
    count = serializers.IntegerField()
    online = serializers.IntegerField()


class DisconnectedOut(serializers.Serializer[Any]):
    """Answer of `DELETE /session/{id}/device/{device_id}`."""

    session_id = serializers.CharField()
    device_id = serializers.CharField()
    disconnected = serializers.BooleanField()
    connections_closed = serializers.IntegerField()


class OfferOut(serializers.Serializer[Any]):
    """Answer of `POST /session/{id}/handoff`."""

    token = serializers.CharField()
    handoff_token = serializers.CharField()
    handoff_id = serializers.CharField()
    session_id = serializers.CharField()
    source_device = serializers.CharField()
    target_device = serializers.CharField()
    version = serializers.IntegerField()
    checksum = serializers.CharField()
    expires_at = serializers.DateTimeField()
    expires_in = serializers.IntegerField()


class ReceiptOut(serializers.Serializer[Any]):
    """What was handed over, and when (DEV-59)."""

    handoff_id = serializers.CharField()
    source_device = serializers.CharField()
    target_device = serializers.CharField()
    issued_version = serializers.IntegerField()
    issued_checksum = serializers.CharField()
    issued_at = serializers.DateTimeField()
    redeemed_version = serializers.IntegerField()
    redeemed_checksum = serializers.CharField()
    redeemed_at = serializers.DateTimeField()


class AcceptedOut(serializers.Serializer[Any]):
    """Answer of `GET /session/{id}/handoff/{token}`."""

    valid = serializers.BooleanField()
    handoff_id = serializers.CharField()
    session_id = serializers.CharField()
    user_id = serializers.CharField()
    source_device = serializers.CharField()
    target_device = serializers.CharField()
    state_data = serializers.DictField()
    version = serializers.IntegerField()
    epoch = serializers.CharField(allow_null=True)
    checksum = serializers.CharField()
    replayed = serializers.BooleanField()
    receipt = ReceiptOut()


class HandoffOut(serializers.Serializer[Any]):
    """One handoff as its session may see it afterwards (DEV-63)."""

    handoff_id = serializers.CharField()
    status = serializers.ChoiceField(choices=("pending", "redeemed", "expired"))
    source_device = serializers.CharField()
    target_device = serializers.CharField()
    issued_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    receipt = ReceiptOut(allow_null=True)


class HandoffsOut(serializers.Serializer[Any]):
    """Answer of `GET /session/{id}/handoffs`."""

    session_id = serializers.CharField()
    handoffs = HandoffOut(many=True)


class BroadcastOut(serializers.Serializer[Any]):
    """Answer of `POST /admin/broadcast`."""

    id = serializers.CharField()
    type = serializers.CharField()
    message = serializers.CharField()
    audience = serializers.CharField()
    delivered = serializers.IntegerField()
    sent_at = serializers.DateTimeField()
