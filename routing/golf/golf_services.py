"""The putt solver and the shot planner as golf knows them: contract, breaker, metrics (ADV-66, ADV-71 to ADV-74)."""

import math
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from routing import downstream
from routing.downstream import Failure, Peer, Trace
from routing.golf import golf_metrics
from routing.golf.breaker import Breaker, Open
from routing.golf.shapes import Check, array, integer, number, one_of, open_object, require, text
from sessions_app import jsonwire
from sessions_app.kinds import DomainError

VERSION = "0.5.0"  # what both services speak, whatever the server's clients do (ADV-66)
_COUNTS = frozenset({"timeout", "unavailable", "bad_response"})  # no 4xx does (ADV-72)


@dataclass(frozen=True)
class Service:
    """One service, by the names its settings begin with. `echoes`: members its answers repeat."""

    name: str
    prefix: str
    path: str
    check: Check
    echoes: tuple[str, ...]
    breaker: Breaker = field(default_factory=Breaker)

    @property
    def url(self) -> str:
        """Where it is; empty when none is configured."""
        return str(getattr(settings, f"{self.prefix}_URL")).rstrip("/")

    @property
    def key(self) -> str:
        """What it is shown; empty for nothing."""
        return str(getattr(settings, f"{self.prefix}_API_KEY"))

    def ask(self, body: dict[str, Any], trace: Trace) -> dict[str, Any]:
        """POST `body` and return the answer, checked. Raises Failure; `trace` is filled in either case."""
        began = time.monotonic()
        try:
            answer = self._guarded({"contract_version": VERSION, **body}, trace)
            trace.outcome = "ok"
            _last_ok[self.name] = time.monotonic()
            return answer
        except Failure as failure:
            trace.outcome = failure.kind
            raise
        finally:
            trace.seconds, trace.breaker = time.monotonic() - began, self.breaker.state
            self._count(trace)

    def last_ok_age_s(self) -> float | None:
        """Seconds since the last good answer in this process; None when there was none."""
        at = _last_ok.get(self.name)
        return None if at is None else round(time.monotonic() - at, 1)

    @property
    def _address(self) -> str:
        """Where it is asked: its URL may have a path before the contract's, and a query."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + self.path))

    def _guarded(self, body: dict[str, Any], trace: Trace) -> dict[str, Any]:
        """One call, if the breaker lets it through, and what it makes of the outcome."""
        try:
            self.breaker.enter()
        except Open as left_alone:
            raise Failure("circuit_open", retry_after_s=math.ceil(left_alone.left_s)) from None
        peer = Peer(self._address, self.key, float(getattr(settings, f"{self.prefix}_TIMEOUT_S")))
        try:
            answer = self._read(downstream.post(peer, body, trace), body)
        except Failure as failure:
            is_client_error = failure.status is not None and 400 <= failure.status < 500
            if failure.kind in _COUNTS and not is_client_error:
                self.breaker.fail()
            else:
                self.breaker.refuse()
            raise
        except BaseException:
            self.breaker.fail()  # a defect of ours; a probe must not stay open for ever
            raise
        self.breaker.succeed()
        return answer

    def _read(self, data: bytes, body: dict[str, Any]) -> dict[str, Any]:
        """The answer, if it keeps the contract and is the answer to this body (ADV-71). Raises Failure."""
        try:
            answer: dict[str, Any] = _without_nulls(jsonwire.loads(data))
            require(self.check, answer)
        except DomainError as error:
            raise Failure("bad_response", 200) from error
        if any(answer[name] != body[name] for name in self.echoes):
            raise Failure("bad_response", 200)
        return answer

    def _count(self, trace: Trace) -> None:
        seconds = golf_metrics.DOWNSTREAM_SECONDS.labels(service=self.name, outcome=trace.outcome or "defect")
        seconds.observe(trace.seconds)
        golf_metrics.DOWNSTREAM_RETRIES.labels(service=self.name).inc(max(0, trace.attempts - 1))
        golf_metrics.BREAKER_OPEN.labels(service=self.name).set(trace.breaker == "open")


def _without_nulls(value: Any) -> Any:
    """Others may spell an absent member `null`; it goes no further (ADV-3)."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(entry) for entry in value if entry is not None] if isinstance(value, list) else value


_last_ok: dict[str, float] = {}
_POINT = open_object({"x_m": number(), "y_m": number()})
_WGS84 = open_object({"lat": number(-90, 90), "lon": number(-180, 180)})
_SENTENCE = text(most=4000)
PUTT_SOLVER = Service(
    "putt_solver",
    "PUTT_SOLVER",
    "/solve_putt",
    open_object(
        {
            "contract_version": one_of(VERSION),
            "request_id": text(),
            "dtm_id": text(),
            "instruction_text": _SENTENCE,
            "warnings": array(_SENTENCE, most=100),
            "raw": open_object(
                {"dll_return_code": integer(-(2**31)), "dll_error_text": _SENTENCE}, {"solution": open_object()}
            ),
        },
        {
            "plot": open_object({"frame": one_of("green_local_m"), "points": array(_POINT, least=2, most=10_000)}),
            "error": _SENTENCE,
        },
    ),
    echoes=("request_id", "dtm_id"),
)
TEE_TO_GREEN = Service(
    "tee_to_green",
    "TEE_TO_GREEN",
    "/plan_shot",
    open_object(
        {"contract_version": one_of(VERSION), "request_id": text(), "summary": _SENTENCE},
        {
            "recommended_club": text(most=64),
            "carry_m": number(0),
            "total_m": number(0),
            "bearing_deg": number(0, below=360),
            "target_wgs84": _WGS84,
            "confidence": number(0, 1),
            "debug": open_object(),
        },
    ),
    echoes=("request_id",),
)
SERVICES = (PUTT_SOLVER, TEE_TO_GREEN)
