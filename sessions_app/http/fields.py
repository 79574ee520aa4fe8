"""The members of request bodies, as strict as the contract: text is no number and a number no text (CON-5)."""

import datetime as dt
import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from sessions_app import clock, ids
from sessions_app.errors import FieldForbidden, FieldInvalid, FieldMissing, SchemaVersionUnsupported, SessionIdInvalid

_SURROGATE = re.compile("[\ud800-\udfff]")


class WireField(serializers.Field):  # type: ignore[type-arg]
    """A member read by `read`, which raises ValueError with the sentence for people; `code` is what clients see.

    Absent, null and blank count as missing, which is said with `missing_code` (CON-5, SES-2).
    """

    code = FieldInvalid.code
    missing_code = FieldMissing.code
    blank_is_missing = True

    def read(self, value: Any) -> Any:
        """The value as the verbs want it. Raises ValueError."""
        raise ValueError("has no form")

    def to_internal_value(self, data: Any) -> Any:
        """DRF's hook around `read`."""
        if self.blank_is_missing and isinstance(data, str) and not data.strip():
            raise serializers.ValidationError("must not be blank", code=self.missing_code)
        try:
            return self.read(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code=self.code) from error

    def to_representation(self, value: Any) -> Any:
        """As it stands."""
        return value


@extend_schema_field(OpenApiTypes.STR)
class Text(WireField):
    """A string of `least` to `most` characters; with `blank_is_missing` a blank one counts as missing."""

    def __init__(self, *, least: int = 0, most: int, blank_is_missing: bool = False, **kwargs: Any) -> None:
        self.least, self.most, self.blank_is_missing = least, most, blank_is_missing
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """A string within the bounds, of characters that PostgreSQL and UTF-8 can hold."""
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if not self.least <= len(value) <= self.most:
            raise ValueError(f"must have {self.least} to {self.most} characters")
        if "\x00" in value or _SURROGATE.search(value):
            raise ValueError("must not hold U+0000 or a lone surrogate")
        return value


@extend_schema_field(OpenApiTypes.STR)
class ActorId(WireField):
    """A user, a device or a performer."""

    def __init__(self, *, missing_code: str = FieldMissing.code, **kwargs: Any) -> None:
        self.missing_code = missing_code
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """An id of CON-2."""
        if not ids.is_actor_id(value):
            raise ValueError("must be 1 to 128 of A-Z a-z 0-9 . _ @ + - and begin with a letter or digit")
        return str(value)


@extend_schema_field(OpenApiTypes.STR)
class SessionId(WireField):
    """A session id of either form."""

    code = SessionIdInvalid.code

    def read(self, value: Any) -> str:
        """An id of CON-1."""
        if not ids.is_session_id(value):
            raise ValueError("must be `sess_` and 16 lower-case hex digits, or a canonical lower-case UUID")
        return str(value)


@extend_schema_field(OpenApiTypes.UUID)
class RecordId(WireField):
    """A UUID that names one act; `version` 4 if asked for."""

    def __init__(self, *, version: int | None = None, **kwargs: Any) -> None:
        self.version = version
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """A canonical UUID."""
        if self.version == 4 and not ids.is_uuid4(value):
            raise ValueError("must be a UUID version 4 in canonical lower-case form")
        if not (isinstance(value, str) and ids.is_canonical_uuid(value.lower())):
            raise ValueError("must be a UUID")
        return str(value)


@extend_schema_field(OpenApiTypes.STR)
class SchemaVersion(WireField):
    """`1.x.y` (SES-6)."""

    def read(self, value: Any) -> str:
        """A version whose major number is 1."""
        parts = value.split(".") if isinstance(value, str) else []
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError("must have the form 1.0.1")
        if parts[0] != "1":
            raise serializers.ValidationError("the major number must be 1", code=SchemaVersionUnsupported.code)
        return str(value)


@extend_schema_field(OpenApiTypes.BOOL)
class Flag(WireField):
    """A JSON boolean."""

    def read(self, value: Any) -> bool:
        """true or false, nothing that merely looks like it."""
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value


@extend_schema_field(OpenApiTypes.INT)
class Whole(WireField):
    """An integer from `least` to `most`."""

    def __init__(self, *, least: int = 0, most: int = 2**53 - 1, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def read(self, value: Any) -> int:
        """An integer within the bounds; a boolean is none."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValueError(f"must be an integer from {self.least} to {self.most}")
        return value


@extend_schema_field(OpenApiTypes.DATETIME)
class Timestamp(WireField):
    """An RFC 3339 time with a zone (SES-4)."""

    def read(self, value: Any) -> dt.datetime:
        """An aware time."""
        return clock.parse(value)


@extend_schema_field(OpenApiTypes.OBJECT)
class JsonObject(WireField):
    """Any JSON object."""

    def read(self, value: Any) -> dict[str, Any]:
        """An object."""
        if not isinstance(value, dict):
            raise ValueError("must be an object")
        return value


@extend_schema_field({"type": "array", "items": {"type": "string"}, "uniqueItems": True})
class Keys(WireField):
    """An array of distinct strings."""

    def read(self, value: Any) -> list[str]:
        """Names of keys."""
        if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
            raise ValueError("must be an array of strings")
        if len(set(value)) != len(value):
            raise ValueError("must not name a key twice")
        return value


@extend_schema_field(OpenApiTypes.STR)
class OneOf(WireField):
    """One of the given strings, else `code`."""

    def __init__(self, *values: str, code: str = "FIELD_INVALID", **kwargs: Any) -> None:
        self.values, self.code = values, code
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """One of the values, to the letter."""
        if value not in self.values:
            raise ValueError(f"must be one of: {', '.join(self.values)}")
        return str(value)


@extend_schema_field(OpenApiTypes.NONE)
class Forbidden(WireField):
    """A member only the server may set: its mere presence is refused, even as null."""

    code = missing_code = FieldForbidden.code  # null is no less a presence

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def read(self, value: Any) -> Any:
        """Never."""
        raise ValueError("is set by the server alone")
