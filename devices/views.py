"""HTTP doors to devices, handoffs and announcements (DEV-52 to DEV-63, DEV-73)."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from devices import announcements, handoff, reception, registry
from devices.serializers import (
    AcceptedOut,
    BroadcastIn,
    BroadcastOut,
    DevicesOut,
    DisconnectedOut,
    HandoffsOut,
    OfferHandoffIn,
    OfferOut,
)
from sessions_app import ids
from sessions_app.access import limits
from sessions_app.errors import FieldInvalid
from sessions_app.http import problems
from sessions_app.http.negotiation import StaffOrBearer
from sessions_app.http.openapi import contract
from sessions_app.http.rest import Endpoint
from sessions_app.kinds import FieldError, FieldErrors
from sessions_app.state.state_requests import idempotency_key

PRIVATE = {"Cache-Control": problems.CACHING}
NEVER_KEPT = {"Cache-Control": "no-store"}
HANDOFF_RATE = limits.Rate("handoff", "RATE_HANDOFF")


class DeviceEndpoint(Endpoint):
    """The endpoints of a session's devices are limited as those of its state."""

    rate = limits.Rate("state", "RATE_STATE")


class Devices(DeviceEndpoint):
    """`GET /session/{id}/devices`"""

    @extend_schema(parameters=[OpenApiParameter("include", str, description="`offline`: the known ones, too.")])
    @contract(answers={200: DevicesOut})
    def get(self, request: Request, session_id: str) -> Response:
        """200 with the connected devices."""
        devices, online = registry.listed(
            session_id,
            by=self.caller,
            offline_too=request.query_params.get("include") == "offline",
            seen_here=reception.seen_here(session_id),
        )
        answer = {"session_id": session_id, "devices": devices, "count": len(devices), "online": online}
        return Response(answer, headers=PRIVATE)


class Device(DeviceEndpoint):
    """`DELETE /session/{id}/device/{device_id}`"""

    @contract(answers={200: DisconnectedOut})
    def delete(self, request: Request, session_id: str, device_id: str) -> Response:
        """200 once its sockets are told to close and it is forgotten."""
        closed = registry.disconnect(session_id, device_id, by=self.caller)
        answer = {"session_id": session_id, "device_id": device_id, "disconnected": True, "connections_closed": closed}
        return Response(answer, headers=PRIVATE)


class OfferHandoff(DeviceEndpoint):
    """`POST /session/{id}/handoff`"""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The limit of a session counts before the body is read."""
        super().initial(request, *args, **kwargs)
        limits.hold(request, limits.use(HANDOFF_RATE, self.caller, key=kwargs["session_id"]))

    @contract(
        body=OfferHandoffIn,
        answers={201: OfferOut},
        example={"source_device": "device-phone", "target_device": "device-tablet"},
    )
    def post(self, request: Request, session_id: str) -> Response:
        """201 with the token, which is shown this once."""
        answer = handoff.offer(session_id, by=self.caller, **self.body(OfferHandoffIn))
        return Response(answer, status=201, headers=NEVER_KEPT)


class AcceptHandoff(DeviceEndpoint):
    """`GET /session/{id}/handoff/{token}`"""

    http_method_names = ["get"]  # no HEAD: whoever asks redeems

    @contract(answers={200: AcceptedOut})
    def get(self, request: Request, session_id: str, token: str) -> HttpResponse:
        """200 with the state and the receipt, to one caller."""
        device_id = self.caller.device_id or _device_named(request)
        key = idempotency_key(request.headers.get("Idempotency-Key"))
        answer = handoff.accept(session_id, token, by=self.caller, device_id=device_id, key=key)
        return HttpResponse(answer, headers=NEVER_KEPT, content_type="application/json")


class Handoffs(DeviceEndpoint):
    """`GET /session/{id}/handoffs`"""

    @contract(answers={200: HandoffsOut})
    def get(self, request: Request, session_id: str) -> Response:
        """200 with the newest, pending or over."""
        found = handoff.recent(session_id, by=self.caller)
        return Response({"session_id": session_id, "handoffs": found}, headers=PRIVATE)


class Broadcast(Endpoint):
    """`POST /admin/broadcast`"""

    authentication_classes = (StaffOrBearer,)
    rate = limits.Rate("admin", "RATE_ADMIN")

    @contract(
        body=BroadcastIn,
        answers={200: BroadcastOut},
        example={"message": "System maintenance scheduled", "type": "notification"},
    )
    def post(self, request: Request) -> Response:
        """200 with how many connections were told."""
        self.caller.must_be("admin")
        return Response(announcements.announce(**self.body(BroadcastIn)))


def _device_named(request: Request) -> str | None:
    """The device of X-Device-ID. Raises FieldErrors."""
    named = request.headers.get("X-Device-ID")
    if named is not None and not ids.is_actor_id(named):
        raise FieldErrors([FieldError("X-Device-ID", FieldInvalid.code, "has the wrong form")])
    return named
