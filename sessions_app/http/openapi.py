"""What the schema says of an endpoint beyond its code: a decorator on the method, and one problem document for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from sessions_app.http.negotiation import BearerOrKey
from sessions_app.http.problems import MEDIA_TYPE

Handler = TypeVar("Handler", bound=Callable[..., Any])

SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]


@dataclass(frozen=True, slots=True)
class Contract:
    """The documented side of one method."""

    body: type[serializers.Serializer[Any]] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    answers: Mapping[int, Any] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None
    answer_example: Mapping[str, Any] | None = None


def contract(
    *,
    body: type[serializers.Serializer[Any]] | None = None,
    media_types: tuple[str, ...] = ("application/json",),
    answers: Mapping[int, Any] | None = None,
    example: Mapping[str, Any] | None = None,
    answer_example: Mapping[str, Any] | None = None,
) -> Callable[[Handler], Handler]:
    """Document a handler: its body, its answers by status (a sentence or a serializer), an example of each."""

    def mark(handler: Handler) -> Handler:
        handler.contract = Contract(body, media_types, answers or {200: "Done."}, example, answer_example)  # type: ignore[attr-defined]
        return handler

    return mark


class ProblemOut(serializers.Serializer[Any]):
    """An RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()


class ContractSchema(AutoSchema):
    """Reads the `contract` of the handler; adds the problem documents."""

    def get_request_serializer(self) -> Any:
        """The body's serializer, or none."""
        return self._contract.body

    def map_parsers(self) -> list[str]:
        """The media types of the body."""
        return list(self._contract.media_types)

    def get_response_serializers(self) -> Any:
        """The answers, then every problem an endpoint may answer with."""
        answers = {status: _response(answer) for status, answer in self._contract.answers.items()}
        return {**answers, ("default", MEDIA_TYPE): OpenApiResponse(ProblemOut, description="A problem document.")}

    def get_auth(self) -> list[dict[str, list[str]]]:
        """A token or a key; for an endpoint that needs none, nothing as well."""
        needs_one = BearerOrKey in self.view.authentication_classes
        return SECURITY if needs_one else [*SECURITY, {}]

    def get_examples(self) -> list[OpenApiExample]:
        """The example body and the example answer."""
        found = []
        if self._contract.example is not None:
            found.append(OpenApiExample("Request", value=self._contract.example, request_only=True))
        if self._contract.answer_example is not None:
            statuses = [str(status) for status in self._contract.answers]
            found.append(
                OpenApiExample(
                    "Answer", value=self._contract.answer_example, response_only=True, status_codes=statuses[:1]
                )
            )
        return found

    def get_operation_id(self) -> str:
        """`start_session_post`: the view's name and the method, so that it does not change with the path."""
        return f"{type(self.view).__name__}_{self.method.lower()}"

    def get_tags(self) -> list[str]:
        """The first word of the path."""
        return [self.path.strip("/").split("/")[0]]

    @property
    def _contract(self) -> Contract:
        handler = getattr(self.view, self.method.lower(), None)
        found = getattr(handler, "contract", None)
        return found if isinstance(found, Contract) else Contract(answers={200: "Done."})


def _response(answer: Any) -> OpenApiResponse:
    if isinstance(answer, str):
        return OpenApiResponse(OpenApiTypes.OBJECT, description=answer)
    return OpenApiResponse(answer)
