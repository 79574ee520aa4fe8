"""The words of ./run (OPS-10, OPS-12)."""

import pytest

from launcher import options
from launcher.options import Options


def test_parse_prints_help_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """OPS-10: exit 0, on stdout."""
    with pytest.raises(SystemExit) as ended:
        options.parse(["--help"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == options.USAGE


@pytest.mark.parametrize(
    "words", [["--bogus"], ["start"], ["demo", "--fast"], ["manage"], ["--yes"], ["--reset", "--open"]]
)
def test_parse_refuses_unknown_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """OPS-12: exit 2 with usage on stderr."""
    with pytest.raises(SystemExit) as ended:
        options.parse(words)

    assert ended.value.code == 2
    assert options.USAGE in capsys.readouterr().err


def test_parse_leaves_the_words_of_a_command_alone() -> None:
    """OPS-10: they are manage.py's."""
    assert options.parse(["manage", "issue_token", "--help"]) == Options(
        word="manage", command=("issue_token", "--help")
    )
