"""Wire shapes of the golf endpoints (advice.md sections 1 to 3): closed objects all the way down, `null` is missing."""

import math
from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from routing.golf.golf_answers import SUPPORTED_VERSIONS
from routing.golf.shapes import KEY_FORM, REQUEST_ID_FORM
from sessions_app.errors import FieldInvalid, FieldMissing, FieldUnknown
from sessions_app.http.bodies import WireSerializer
from sessions_app.http.fields import ActorId, Flag, OneOf, SessionId, Timestamp, Whole, WireField


@extend_schema_field(OpenApiTypes.DOUBLE)
class Real(WireField):
    """A finite number within bounds; a boolean is none, and so is text."""

    def __init__(self, *, least: float, most: float, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def read(self, value: Any) -> float:
        """A number within the bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise ValueError(f"must be a number from {self.least:g} to {self.most:g}")
        return value if math.isfinite(value) else float(value)


@extend_schema_field(OpenApiTypes.STR)
class Form(WireField):
    """A string of one exact form."""

    def __init__(self, form: Any, **kwargs: Any) -> None:
        self.form = form
        super().__init__(**kwargs)

    def read(self, value: Any) -> str:
        """A string that matches from end to end."""
        if not isinstance(value, str) or not self.form.fullmatch(value):
            raise ValueError(f"must match ^{self.form.pattern}$")
        return value


class Closed(WireSerializer):
    """An object whose members are all known, nested ones too; `null` is no way to leave one out (ADV-2)."""

    def to_internal_value(self, data: Any) -> Any:
        """DRF's hook."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("must be an object", code=FieldInvalid.code)
        errors: dict[str, Any] = {}
        value: Any = None
        try:
            value = super(WireSerializer, self).to_internal_value(data)
        except serializers.ValidationError as error:
            errors = dict(error.detail)  # type: ignore[arg-type]  # a serializer's detail is by field
        if self.parent is not None:  # at the top the base tells of unknown members
            unknown = ErrorDetail("is not known here", code=FieldUnknown.code)
            errors |= {name: [unknown] for name in data if name not in self.fields}
        if errors:
            raise serializers.ValidationError(errors)
        return value


class Wgs84In(Closed):
    """A position in decimal degrees."""

    lat = Real(least=-90, most=90)
    lon = Real(least=-180, most=180)


class StimpIn(Closed):
    """A green's speed in feet and inches, above zero."""

    ft = Whole(least=0, most=30)

    def get_fields(self) -> dict[str, Any]:
        """`in` is no name Python would take."""
        return {**super().get_fields(), "in": Whole(least=0, most=11)}

    def to_internal_value(self, data: Any) -> Any:
        """DRF's hook."""
        value = super().to_internal_value(data)
        if not value["ft"] + value["in"]:
            raise serializers.ValidationError("must be above zero", code=FieldInvalid.code)
        return value


class GolfIn(Closed):
    """What every request may say of itself."""

    contract_version = OneOf(*SUPPORTED_VERSIONS, required=False)
    request_id = Form(REQUEST_ID_FORM, required=False)


class StartHoleIn(GolfIn):
    """Body of `/api/session/start`."""

    course_id = Form(KEY_FORM)
    hole_id = Whole(least=1)
    ball_wgs84 = Wgs84In(required=False)
    cup_wgs84 = Wgs84In(required=False)
    stimp = StimpIn(required=False)
    user_id = ActorId(required=False)
    session_id = SessionId(required=False)
    competition_mode = Flag(required=False)


class SetBallIn(GolfIn):
    """Body of `/api/session/set_ball_location` in `0.5.0`."""

    session_id = SessionId()
    ball_wgs84 = Wgs84In()


class SetBall06In(SetBallIn):
    """The same in `0.6.0` (ADV-9)."""

    accuracy_m = Real(least=0, most=10_000, required=False)
    timestamp_utc = Timestamp(required=False)


class SetCupIn(GolfIn):
    """Body of `/api/session/set_cup_location`."""

    session_id = SessionId()
    cup_wgs84 = Wgs84In()


class EndHoleIn(GolfIn):
    """Body of `/api/session/end`."""

    session_id = SessionId()


class GetAdviceIn(GolfIn):
    """Body of `/api/get_hole_advice`: a session, or course, hole and ball."""

    session_id = SessionId(required=False)
    course_id = Form(KEY_FORM, required=False)
    hole_id = Whole(least=1, required=False)
    ball_wgs84 = Wgs84In(required=False)
    cup_wgs84 = Wgs84In(required=False)
    stimp = StimpIn(required=False)
    want_plot = Flag(required=False)
    competition_mode = Flag(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two forms is complete (ADV-22)."""
        if "session_id" not in attrs:
            missing = [name for name in ("course_id", "hole_id", "ball_wgs84") if name not in attrs]
            names = ["session_id"] if len(missing) == 3 else missing
            if names:
                lacking = ErrorDetail("must be given", code=FieldMissing.code)
                raise serializers.ValidationError({name: [lacking] for name in names})
        return attrs
