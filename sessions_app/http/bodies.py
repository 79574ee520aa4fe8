"""Bodies held to the contract's tables: every refused member is named, in the order of the table (CON-5)."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any

from rest_framework import serializers
from rest_framework.utils.serializer_helpers import BindingDict

from sessions_app.errors import FieldInvalid, FieldMissing, FieldUnknown
from sessions_app.http.fields import Forbidden
from sessions_app.kinds import FieldError, FieldErrors


class WireSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The members of a body in the order of the contract's table; unknown ones are refused after them (CON-5).

    An optional member given as null counts as absent. `errors_in` turns DRF's errors into the contract's list.
    """

    keeps_unknown_members = False  # where the contract lets a sender add members of its own

    @cached_property
    def fields(self) -> Any:
        """The declared fields, shared by all bodies of this shape: copying them took longer than reading the body."""
        return _fields(type(self))

    def to_internal_value(self, data: Any) -> Any:
        """DRF's hook: null drops out first, except where presence alone is refused."""
        kept = {
            name: value
            for name, value in data.items()
            if value is not None or isinstance(self.fields.get(name), Forbidden)
        }
        return super().to_internal_value(kept)

    def errors_in(self, data: Mapping[str, Any]) -> list[FieldError]:
        """Every refused member of `data`, in order; reads the outcome of is_valid()."""
        found = list(_flat(self.errors, self.fields))
        unknown = [] if self.keeps_unknown_members else [name for name in data if name not in self.fields]
        return found + [
            FieldError(_printable(name), FieldUnknown.code, "is not a member of this request") for name in unknown
        ]


@cache
def _fields(shape: type[WireSerializer]) -> Any:
    bound = BindingDict(shape())
    for name, field in shape().get_fields().items():
        bound[name] = field
    return bound


def _printable(name: str) -> str:
    """A member name as an answer can repeat it: a lone surrogate has no UTF-8."""
    return name.encode(errors="replace").decode()


def checked(shape: type[WireSerializer], data: Mapping[str, Any]) -> dict[str, Any]:
    """The validated members of `data`. Raises FieldErrors."""
    serializer = shape(data=data)
    serializer.is_valid()
    if errors := serializer.errors_in(data):
        raise FieldErrors(errors)
    return dict(serializer.validated_data)


def _flat(errors: Any, fields: Mapping[str, Any], path: str = "") -> Iterator[FieldError]:
    """DRF's nested errors as dotted paths, in the order in which the fields are declared."""
    for name in [*fields, *(name for name in errors if name not in fields)]:
        if name not in errors:
            continue
        field, found = fields.get(name), errors[name]
        if isinstance(found, Mapping):
            yield from _flat(found, getattr(field, "fields", {}), f"{path}{name}.")
        else:
            code = found[0].code
            if code in ("required", "null"):
                code = getattr(field, "missing_code", FieldMissing.code)
            yield FieldError(f"{path}{name}", code if code.isupper() else FieldInvalid.code, str(found[0]))
