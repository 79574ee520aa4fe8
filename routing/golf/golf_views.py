"""HTTP doors to the hole being played and to advice on it (advice.md sections 2 and 3)."""

import hashlib
import uuid
from typing import Any

import rfc8785
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from rest_framework.request import Request
from rest_framework.response import Response

from routing.errors import RegistryUnavailable, StoreUnavailable, UnsupportedContractVersion
from routing.geometry import Wgs84
from routing.golf import datasets, golf_answers, holes
from routing.golf.golf_answers import DEFAULT_VERSION, SUPPORTED_VERSIONS
from routing.golf.golf_serializers import EndHoleIn, GolfIn, SetBall06In, SetBallIn, SetCupIn, StartHoleIn
from routing.golf.holes import Playing
from routing.golf.manifest import Stimp
from routing.golf.samples import BallSample
from routing.golf.shapes import REQUEST_ID_FORM
from sessions_app import context
from sessions_app.access import limits
from sessions_app.http import bodies
from sessions_app.http.openapi import contract
from sessions_app.http.rest import Endpoint

_SESSION = "sess_0123456789abcdef"
_BALL, _CUP = {"lat": 56.336128337, "lon": -2.804206626}, {"lat": 56.33612826, "lon": -2.804158103}


class GolfEndpoint(Endpoint):
    """What the golf endpoints share: their own rule for the request id, and the version in every answer."""

    rate = limits.Rate("advice", "RATE_ADVICE")
    version = DEFAULT_VERSION
    request_id = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The header's id or a fresh one, until the body names another; then the common checks."""
        self._adopt_id(request.headers.get("X-Request-ID"), otherwise=str(uuid.uuid4()))
        super().initial(request, *args, **kwargs)

    def body(self, shape: type[GolfIn]) -> dict[str, Any]:  # type: ignore[override]  # these bodies all have a version
        """The validated members; the id and the version they name hold from here on. Raises FieldErrors."""
        members = self.members
        self._adopt_id(members.get("request_id"), otherwise=self.request_id)
        self.adopt_version(members.get("contract_version"))
        return bodies.checked(shape, members)

    def adopt_version(self, asked: Any) -> None:
        """Speak the version asked for; absent means the default. Raises UnsupportedContractVersion."""
        if asked is None:
            return
        if asked not in SUPPORTED_VERSIONS:
            raise UnsupportedContractVersion(supported=list(SUPPORTED_VERSIONS))
        self.version = asked

    def handle_exception(self, error: Exception) -> Response:
        """Problems carry the version too (ADV-11); a lost database is a lost store where it is the store (ADV-36)."""
        if isinstance(error, OperationalError | InterfaceError) and settings.SESSION_STORE_BACKEND == "db":
            error = StoreUnavailable()
        response = super().handle_exception(error)
        response.data["contract_version"] = self.version
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The id of the body stands in the header as well (clarification of ADV-7)."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["X-Request-ID"] = self.request_id
        return response

    def envelope(self, playing: Playing) -> Response:
        """200 with how the hole stands."""
        return Response(
            golf_answers.envelope(
                playing.state,
                playing.dataset,
                playing.warnings,
                version=self.version,
                request_id=self.request_id,
            )
        )

    def _adopt_id(self, offered: Any, *, otherwise: str) -> None:
        self.request_id = offered if isinstance(offered, str) and REQUEST_ID_FORM.fullmatch(offered) else otherwise
        context.request_id.set(self.request_id)
        structlog.contextvars.bind_contextvars(request_id=self.request_id)


class StartHole(GolfEndpoint):
    """`POST /api/session/start`"""

    @contract(
        body=StartHoleIn,
        answers={200: "The hole as it stands."},
        example={"course_id": "baton_links", "hole_id": 2, "ball_wgs84": _BALL, "stimp": {"ft": 10, "in": 0}},
    )
    def post(self, request: Request) -> Response:
        """200 with the hole as it stands."""
        members = self.body(StartHoleIn)
        return self.envelope(
            holes.start(
                course_id=members["course_id"],
                hole_id=members["hole_id"],
                by=self.caller,
                user_id=members.get("user_id"),
                session_id=members.get("session_id"),
                ball=position(members.get("ball_wgs84")),
                cup=position(members.get("cup_wgs84")),
                stimp=stimp(members.get("stimp")),
                competition_mode=members.get("competition_mode"),
            )
        )


class SetBallLocation(GolfEndpoint):
    """`POST /api/session/set_ball_location`"""

    @contract(
        body=SetBall06In,
        answers={200: "The hole as it stands; the ball counted as a surface sample, unless a warning says otherwise."},
        example={"contract_version": "0.6.0", "session_id": _SESSION, "ball_wgs84": _BALL, "accuracy_m": 3},
    )
    def post(self, request: Request) -> Response:
        """200 with the hole as it stands."""
        self.adopt_version(self.members.get("contract_version"))
        members = self.body(SetBallIn if self.version == DEFAULT_VERSION else SetBall06In)
        sample = BallSample(
            Wgs84(**members["ball_wgs84"]),
            members.get("accuracy_m"),
            members.get("timestamp_utc"),
            members.get("request_id"),
            hashlib.sha256(rfc8785.dumps(self.members)).hexdigest(),
        )
        return self.envelope(holes.set_ball(members["session_id"], sample=sample, by=self.caller))


class SetCupLocation(GolfEndpoint):
    """`POST /api/session/set_cup_location`"""

    @contract(
        body=SetCupIn,
        answers={200: "The hole as it stands."},
        example={"session_id": _SESSION, "cup_wgs84": _CUP},
    )
    def post(self, request: Request) -> Response:
        """200 with the hole as it stands."""
        members = self.body(SetCupIn)
        return self.envelope(holes.set_cup(members["session_id"], cup=Wgs84(**members["cup_wgs84"]), by=self.caller))


class ReadHole(GolfEndpoint):
    """`GET /api/session/{id}`"""

    @contract(answers={200: "The bare hole state."})
    def get(self, request: Request, session_id: str) -> Response:
        """200 with the bare hole state."""
        self.adopt_version(request.query_params.get("contract_version"))
        playing = holes.read(session_id, by=self.caller)
        return Response(golf_answers.of_session(playing.state, playing.dataset, version=self.version))


class EndHole(GolfEndpoint):
    """`POST /api/session/end`"""

    @contract(
        body=EndHoleIn,
        answers={200: "The hole has ended; `session_closed` tells whether the session has too."},
        example={"session_id": _SESSION},
    )
    def post(self, request: Request) -> Response:
        """200, and whether the session has ended with the hole."""
        members = self.body(EndHoleIn)
        closed = holes.end(members["session_id"], by=self.caller)
        return Response(
            {
                "contract_version": self.version,
                "request_id": self.request_id,
                "session_id": members["session_id"],
                "status": "ended",
                "session_closed": closed,
            }
        )


class ListDatasets(GolfEndpoint):
    """`GET /api/datasets`"""

    @contract(answers={200: "The greens that can be played."})
    def get(self, request: Request) -> Response:
        """200 with the greens that can be played."""
        self.adopt_version(request.query_params.get("contract_version"))
        registry = datasets.registry()
        if registry.error is not None:
            raise RegistryUnavailable
        names = ("dtm_id", "course_id", "hole_id", "green_id", "dataset_version")
        listed = [{name: getattr(one.manifest, name) for name in names} for one in registry.datasets.values()]
        return Response({"contract_version": self.version, "datasets": listed})


def position(members: dict[str, float] | None) -> Wgs84 | None:
    """A position that may be absent."""
    return None if members is None else Wgs84(**members)


def stimp(members: dict[str, int] | None) -> Stimp | None:
    """A green's speed that may be absent."""
    return None if members is None else Stimp(members["ft"], members["in"])
