"""The words and options of `./run` (OPS-10), read before anything is installed or started."""

import argparse
import sys
from dataclasses import dataclass
from typing import NoReturn

USAGE = """\
usage: ./run [--open] [--seed]
       ./run --reset [--yes]
       ./run demo [--json]
       ./run manage <command> ...

  ./run                    installs, starts PostgreSQL, Redis and Baton, prints the addresses, stays in the foreground
  ./run --help             prints this, installs and starts nothing
  ./run --open             as ./run with DEBUG=true AUTH_REQUIRED=false, on loopback only
  ./run --seed             also seeds an external database
  ./run --reset            refuses while running; asks, or needs --yes; deletes var/, data/ and logs/
  ./run demo               plays the whole story against the real processes; --json prints one object per line
  ./run manage <command>   runs manage.py with the same servers and settings and returns its exit code

Environment: SERVER_ADDR, DATABASE_URL, REDIS_URL and the other names of .env.example; ENV_FILE names a file of them.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """One call of `./run`; `word` is `serve`, `demo`, `manage` or `reset`."""

    word: str = "serve"
    open: bool = False
    seed: bool = False
    yes: bool = False
    json: bool = False
    command: tuple[str, ...] = ()


def parse(arguments: list[str]) -> Options:
    """Read the arguments of `./run`. Prints the usage and exits 0 for --help, exits 2 for what it does not know."""
    if arguments[:1] == ["manage"]:
        if len(arguments) == 1:
            _Parser().error("manage needs a command, for example: ./run manage migrate")
        return Options(word="manage", command=tuple(arguments[1:]))
    if arguments[:1] == ["demo"]:
        return _parse(["--json"], arguments[1:], "demo")
    options = _parse(["--open", "--seed", "--reset", "--yes"], arguments, "serve")
    if options.yes and options.word != "reset":
        _Parser().error("--yes goes with --reset")
    if options.word == "reset" and (options.open or options.seed):
        _Parser().error("--reset goes alone")
    return options


class _Parser(argparse.ArgumentParser):
    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{USAGE}\n./run: {message}\n")
        raise SystemExit(2)


def _parse(flags: list[str], arguments: list[str], word: str) -> Options:
    parser = _Parser()
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    given = vars(parser.parse_args(arguments))
    if given.pop("help"):
        print(USAGE, end="")
        raise SystemExit(0)
    if given.pop("reset", False):
        word = "reset"
    return Options(word=word, **given)
