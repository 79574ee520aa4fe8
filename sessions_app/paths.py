"""Door to the directories of a session (SES-63 to SES-65): every path is built here, and only here is mkdir called."""

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from stat import S_ISLNK
from typing import NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from sessions_app import ids


class PathRefused(ValueError):
    """The ids have no safe form, or the path would leave its root, be it through a link."""


# A link is not followed; O_PATH, where there is such a thing, asks for no right to read.
_PASSING = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_PLACES_REMEMBERED = 1024  # names per process; to put one together costs more than to look where it leads


class LogPlace(NamedTuple):
    """Where a session's log lies, and how it and its chain file are called there."""

    path: str
    users: str  # the path of the first directory below the root
    below: Sequence[str]  # the directories from there down to the log, by name
    log: str
    chain: str


def open_log_directory(place: LogPlace) -> int:
    """A descriptor of the directory of a log, to open what lies there by name: the way to it passed no link.

    Raises FileNotFoundError if it is missing, and another OSError for a link in the way or what else is no directory.
    """
    descriptor = os.open(place.users, _PASSING)
    for name in place.below:
        above = descriptor
        try:
            descriptor = os.open(name, _PASSING, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


def session_log_path(user_id: str, session_id: str, *, create: bool = False) -> Path:
    """`<LOG_ROOT>/users/<user_id>/sessions/<session_id>.jsonl`; with `create` its directory is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    _check(user_id, session_id)
    directories = _names(settings.LOG_ROOT, "users", user_id, "sessions")
    if create:
        _make(settings.LOG_ROOT, directories)
    _refuse_links(*directories)
    return Path(log_place(user_id, session_id).path)


def sync_directory(directory: str | Path, *, within: int | None = None) -> None:
    """Make the names in a directory durable; it may be named `within` an open one. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=within)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@lru_cache(_PLACES_REMEMBERED)
def log_place(user_id: str, session_id: str) -> LogPlace:
    """Names alone, nothing is looked at; remembered, for the recorder asks for every line. Raises PathRefused."""
    _check(user_id, session_id)
    users, directory = Path(settings.LOG_ROOT, "users"), (user_id, "sessions")
    log, chain = f"{session_id}.jsonl", f"{session_id}.chain"
    return LogPlace(os.fspath(users.joinpath(*directory, log)), os.fspath(users), directory, log, chain)


@receiver(setting_changed)
def _forget_places(*, setting: str, **_: object) -> None:
    if setting == "LOG_ROOT":
        log_place.cache_clear()


def session_features_dir(user_id: str, session_id: str, *, create: bool = False) -> Path:
    """`<DATA_ROOT>/users/<user_id>/sessions/<session_id>/features`; with `create` it is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    _check(user_id, session_id)
    return _below(settings.DATA_ROOT, "users", user_id, "sessions", session_id, "features", create=create)


def pod_directory(session_id: str, *, create: bool = False) -> Path:
    """`<DATA_ROOT>/pods/<session_id>`, where a local pod works; with `create` it is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    if not ids.is_session_id(session_id):
        raise PathRefused("an id that names no file")
    return _below(settings.DATA_ROOT, "pods", session_id, create=create)


def make_roots() -> None:
    """Make both roots if they are missing. Raises OSError."""
    for root in (settings.DATA_ROOT, settings.LOG_ROOT):
        Path(root).mkdir(mode=0o750, parents=True, exist_ok=True)


def _check(user_id: str, session_id: str) -> None:
    if not ids.is_actor_id(user_id) or not ids.is_session_id(session_id):
        raise PathRefused("an id that names no file")


def _below(root: Path, *parts: str, create: bool) -> Path:
    directories = _names(root, *parts)
    if create:
        _make(root, directories)
    _refuse_links(*directories)
    return Path(directories[-1])


def _names(root: Path, *parts: str) -> Sequence[str]:
    return tuple(accumulate(parts, "{}/{}".format, initial=os.fspath(root)))[1:]


def _make(root: Path, directories: Sequence[str]) -> None:
    """mkdir -p with mode 0750 on every new level, durably; stops at a link instead of making directories behind it."""
    Path(root).mkdir(mode=0o750, parents=True, exist_ok=True)  # it may itself be reached through links
    for directory in directories:
        _refuse_links(directory)
        try:
            os.mkdir(directory, 0o750)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
        else:
            sync_directory(os.path.dirname(directory))


def _refuse_links(*directories: str) -> None:
    try:
        for directory in directories:
            if S_ISLNK(os.lstat(directory).st_mode):
                raise PathRefused("a link stands in the path")
    except OSError:
        pass  # what is not there leads nowhere else, nor does what would be in it
