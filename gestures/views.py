"""HTTP doors to completed captures (GES section 8). The upload is a raw route: gestures/uploads.py."""

import base64
from typing import Any, NoReturn

from django.conf import settings
from django.http import HttpResponse
from django.views.generic import TemplateView
from rest_framework.request import Request
from rest_framework.response import Response

from gestures import artifacts, listing
from gestures.errors import ArtifactCorrupt, ArtifactMissing
from gestures.models import FeatureRef
from gestures.serializers import CaptureOut, ListIn
from sessions_app import ids, sessions
from sessions_app.access import limits
from sessions_app.errors import FieldInvalid, MethodNotAllowed
from sessions_app.http import bodies
from sessions_app.http.rest import Endpoint
from sessions_app.kinds import FieldError, FieldErrors


class DemoPage(TemplateView):
    """`/demo/session` and `/demo/gesture` (GES-62): plain pages for anybody; what they do needs the visitor's token."""

    http_method_names = ["get", "head"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether the form for signing in is needed."""
        return super().get_context_data(auth_required=settings.AUTH_REQUIRED, **kwargs)


class CaptureEndpoint(Endpoint):
    """Reading captures is limited as a whole; a record_id in the path has a form."""

    rate = limits.Rate("capture_read", "RATE_CAPTURE_READ")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The checks of every endpoint, then the form of the record_id."""
        super().initial(request, *args, **kwargs)
        if "record_id" in kwargs and not ids.is_canonical_uuid(kwargs["record_id"]):
            raise FieldErrors(
                [FieldError("record_id", FieldInvalid.code, "must be a UUID in canonical lower-case form")]
            )


class Captures(CaptureEndpoint):
    """`GET /camera_feed_worker/captures`"""

    def get(self, request: Request) -> Response:
        """200 with one page, oldest first."""
        asked = bodies.checked(ListIn, request.query_params.dict())
        session = sessions.visible(asked["session_id"], by=self.caller)
        found, cursor = listing.page(session, limit=asked.get("limit", listing.PAGE), cursor=asked.get("cursor"))
        captures = CaptureOut(found, many=True).data
        return Response({"session_id": session.session_id, "captures": captures, "next_cursor": cursor})

    def post(self, request: Request) -> NoReturn:
        """405: Django would spool frames to disk (GES-24). Served ahead of it, by gestures/uploads.py."""
        raise MethodNotAllowed(allow="GET, HEAD")


class Capture(CaptureEndpoint):
    """`GET /camera_feed_worker/captures/<record_id>`"""

    def get(self, request: Request, record_id: str) -> Response:
        """200 with the capture object."""
        return Response(CaptureOut(listing.visible(record_id, by=self.caller)).data)


class CaptureFeatures(CaptureEndpoint):
    """`GET` or `HEAD /camera_feed_worker/captures/<record_id>/features.npz`"""

    def get(self, request: Request, record_id: str) -> HttpResponse:
        """200 with the file, 304 if the caller has it; hashed before the first byte goes out (GES-55)."""
        ref = listing.visible(record_id, by=self.caller)
        data = _verified(ref)
        if _matches(request.headers.get("If-None-Match", ""), ref.hash):
            return HttpResponse(status=304, headers=_headers(ref))
        headers = {**_headers(ref), "Content-Disposition": f'attachment; filename="{record_id}.npz"'}
        return HttpResponse(data, content_type="application/octet-stream", headers=headers)


def _verified(ref: FeatureRef) -> bytes:
    try:
        data = artifacts.read(ref.uri)
    except FileNotFoundError as error:
        raise ArtifactMissing from error
    if artifacts.sha256(data) != ref.hash:
        raise ArtifactCorrupt
    return data


def _headers(ref: FeatureRef) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(ref.hash)).decode()
    return {
        "ETag": f'"{ref.hash}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "none",
    }


def _matches(condition: str, tag: str) -> bool:
    """Whether If-None-Match names this file; a GET compares weakly (RFC 9110, 13.1.2)."""
    tags = [part.strip().removeprefix("W/") for part in condition.split(",")]
    return "*" in tags or f'"{tag}"' in tags
