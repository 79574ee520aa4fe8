"""Door to the directories of a session (SES-63 to SES-65): every path is built here, and only here is mkdir called."""

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from stat import S_ISLNK

from django.conf import settings

from sessions_app import ids


class PathRefused(ValueError):
    """The ids have no safe form, or the path would leave its root, be it through a link."""


_PLACES_REMEMBERED = 1024  # names per process; to put one together costs more than to look where it leads


def session_log_path(user_id: str, session_id: str, *, create: bool = False) -> Path:
    """`<LOG_ROOT>/users/<user_id>/sessions/<session_id>.jsonl`; with `create` its directory is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    directories, path = _log_place(os.fspath(settings.LOG_ROOT), user_id, session_id)
    if create:
        _make(settings.LOG_ROOT, directories)
    _refuse_links(*directories)
    return path


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


@lru_cache(_PLACES_REMEMBERED)
def _log_place(root: str, user_id: str, session_id: str) -> tuple[Sequence[str], Path]:
    """The directories from below the root down to the one of the log, and the log."""
    _check(user_id, session_id)
    directories = _names(root, "users", user_id, "sessions")
    return directories, Path(f"{directories[-1]}/{session_id}.jsonl")


def _check(user_id: str, session_id: str) -> None:
    if not ids.is_actor_id(user_id) or not ids.is_session_id(session_id):
        raise PathRefused("an id that names no file")


def _below(root: Path, *parts: str, create: bool) -> Path:
    directories = _names(os.fspath(root), *parts)
    if create:
        _make(root, directories)
    _refuse_links(*directories)
    return Path(directories[-1])


def _names(root: str, *parts: str) -> Sequence[str]:
    return tuple(accumulate(parts, "{}/{}".format, initial=root))[1:]


def _make(root: Path, directories: Sequence[str]) -> None:
    """mkdir -p with mode 0750 on every new level; stops at a link instead of making directories behind it."""
    Path(root).mkdir(mode=0o750, parents=True, exist_ok=True)  # it may itself be reached through links
    for directory in directories:
        _refuse_links(directory)
        Path(directory).mkdir(mode=0o750, exist_ok=True)


def _refuse_links(*directories: str) -> None:
    try:
        for directory in directories:
            if S_ISLNK(os.lstat(directory).st_mode):
                raise PathRefused("a link stands in the path")
    except OSError:
        pass  # what is not there leads nowhere else, nor does what would be in it
