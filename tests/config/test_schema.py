"""What the OpenAPI document promises, held against a real web process by requests made from the document itself."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from tests.factories import make_token
from tests.processes import WebProcess

pytestmark = pytest.mark.django_db(transaction=True)

PROMISES = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)
EVERYBODY_OUT = "/auth/revoke"  # would take the run's own token away
LIMITS = ("RATE_STATE", "RATE_HANDOFF", "RATE_ADMIN", "RATE_ADVICE", "RATE_CAPTURE", "SESSION_RATE")
EXAMPLES = settings(
    max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def documented() -> Iterator[Any]:
    """The document as a client fetches it, with a token that may do everything a person may."""
    with WebProcess(LOG_LEVEL="ERROR", **dict.fromkeys(LIMITS, "")) as web:
        found = schemathesis.openapi.from_url(f"{web.url}/schema/")
        found.config.headers = {"Authorization": f"Bearer {make_token('u1', roles=('user', 'operator', 'admin'))}"}
        yield found.exclude(path=EVERYBODY_OUT)


UNFITTING = pytest.param(GenerationMode.NEGATIVE, marks=pytest.mark.soak)  # thinking them up takes a minute


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, UNFITTING], ids=["fitting", "unfitting"])
def test_answers_are_as_documented(documented: Any, mode: GenerationMode) -> None:
    """CON-4, OPS-15: no 500, no undocumented status, no answer of another form."""
    asked: list[str] = []
    for found in documented.get_all_operations():
        operation = found.ok()
        with suppress(Unsatisfiable):  # some operations have nothing that could be wrong
            ask(operation.as_strategy(generation_mode=mode), asked)
    assert len(set(asked)) > 20, asked


def ask(cases: Any, asked: list[str]) -> None:
    """Make a few requests, the same ones each time, and hold the answers against the document."""

    @EXAMPLES
    @given(case=cases)
    def hold(case: Any) -> None:
        asked.append(case.operation.label)
        case.call_and_validate(checks=PROMISES, timeout=30)

    hold()
