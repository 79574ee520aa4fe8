"""routing/pod/outcomes.py against the table of POD-33."""

import pytest

from routing.pod.outcomes import MOST_ANSWER_BYTES, Answered, Dead, Retry, judge


@pytest.mark.parametrize(
    "body",
    [b'{"reply":"Hello."}', b" {} \n", b'{"a":1,"a":2}', b'{"big":1e400}', b'{"t":"\\ud800\\u0000"}', b'{"n":1.0}'],
)
def test_judge_takes_any_json_object_to_the_letter(body: bytes) -> None:
    """POD-46: unchanged."""
    assert judge(200, body) == Answered(body.decode().strip())


@pytest.mark.parametrize(
    "body",
    [b"", b"text", b"[1]", b'"a"', b"null", b"{", b"\xff{}", b'{"a":NaN}', b"\xef\xbb\xbf{}", b"[" * 100_000, None,
     b'{"a":"' + b"x" * MOST_ANSWER_BYTES + b'"}'],
)  # fmt: skip
def test_judge_buries_what_is_no_object(body: bytes | None) -> None:
    """POD-33: not JSON, not an object, too large."""
    outcome = judge(200, body)
    assert isinstance(outcome, Dead)
    assert (outcome.code, outcome.pod_status) == ("POD_BAD_ANSWER", 200)


def test_judge_takes_the_longest_answer() -> None:
    """POD-33: 262,144 bytes."""
    body = b'{"a":"' + b"x" * (MOST_ANSWER_BYTES - 8) + b'"}'
    assert len(body) == MOST_ANSWER_BYTES
    assert isinstance(judge(200, body), Answered)


@pytest.mark.parametrize("status", [201, 204, 206, 301, 304, 307])
def test_judge_buries_other_answers(status: int) -> None:
    """POD-33, POD-45: redirects are not followed."""
    assert judge(status, b'{"a":1}') == Dead("POD_BAD_ANSWER", f"The pod answered {status}.", status)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422, 499])
def test_judge_buries_what_the_pod_refuses(status: int) -> None:
    """POD-33."""
    assert judge(status, b"") == Dead("POD_REJECTED", f"The pod answered {status}.", status)


@pytest.mark.parametrize("status", [401, 408, 425, 429, 500, 502, 503, 599])
def test_judge_tries_again_what_may_pass(status: int) -> None:
    """POD-33."""
    assert judge(status, b"") == Retry(f"The pod answered {status}.", status)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 0), ("3600", 60), ("-1", None), ("1.5", None), ("soon", None), ("", None)]
)
def test_judge_waits_as_long_as_the_pod_says(header: str, seconds: int | None) -> None:
    """POD-33: at most 60 s."""
    outcome = judge(503, b"", retry_after=header)
    assert isinstance(outcome, Retry)
    assert outcome.retry_after_s == seconds
