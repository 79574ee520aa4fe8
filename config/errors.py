"""DomainError, DRF's and Django's own errors to problem documents: the one place where HTTP learns of them (CON-4)."""

from typing import Any

import structlog
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions as drf
from rest_framework.response import Response

from sessions_app import jsonwire, pooling
from sessions_app.errors import BodyTooLarge, DatabaseUnavailable, Internal, MalformedJson, RoleForbidden, UnknownPath
from sessions_app.http import problems
from sessions_app.kinds import DomainError, UnsupportedMedia

log = structlog.get_logger(__name__)

_FOREIGN: tuple[tuple[type[Exception], type[DomainError]], ...] = (
    (OperationalError, DatabaseUnavailable),
    (InterfaceError, DatabaseUnavailable),
    (RequestDataTooBig, BodyTooLarge),
    (drf.UnsupportedMediaType, UnsupportedMedia),
    (drf.ParseError, MalformedJson),
    (SuspiciousOperation, MalformedJson),
    (BadRequest, MalformedJson),
)


def as_domain_error(error: Exception) -> DomainError:
    """The domain's word for any exception; what nobody foresaw is logged with its stack and becomes INTERNAL."""
    if isinstance(error, DomainError):
        return error
    for foreign, ours in _FOREIGN:
        if isinstance(error, foreign):
            if ours is DatabaseUnavailable:
                pooling.renew_if_lost()
            log.warning("request.refused", code=ours.code, error=str(error))
            return ours()
    log.error("request.failed", error=repr(error), exc_info=error)
    return Internal()


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER."""
    problem = as_domain_error(error)
    return Response(
        problems.document(problem),
        status=problem.status,
        headers=problems.headers(problem),
        content_type=problems.MEDIA_TYPE,
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return _plain(UnknownPath())


def defect(request: HttpRequest) -> HttpResponse:
    """Django's handler500; the stack is in the log."""
    return _plain(Internal())


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400."""
    return _plain(as_domain_error(exception) if exception else MalformedJson())


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return _plain(RoleForbidden())


def _plain(problem: DomainError) -> HttpResponse:
    return HttpResponse(
        jsonwire.dumps(problems.document(problem)),
        status=problem.status,
        headers=problems.headers(problem),
        content_type=problems.MEDIA_TYPE,
    )
