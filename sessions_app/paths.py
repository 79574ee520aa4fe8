"""Door to the directories of a session (SES-63 to SES-65): every path is built here, and only here is mkdir called."""

import os
import stat
from pathlib import Path

from django.conf import settings

from sessions_app import ids


class PathRefused(ValueError):
    """The ids have no safe form, or the path would leave its root, be it through a link."""


def session_log_path(user_id: str, session_id: str, *, create: bool = False) -> Path:
    """`<LOG_ROOT>/users/<user_id>/sessions/<session_id>.jsonl`; with `create` its directory is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    return Path(f"{_directory(settings.LOG_ROOT, user_id, session_id, (), create)}/{session_id}.jsonl")


def session_features_dir(user_id: str, session_id: str, *, create: bool = False) -> Path:
    """`<DATA_ROOT>/users/<user_id>/sessions/<session_id>/features`; with `create` it is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    return Path(_directory(settings.DATA_ROOT, user_id, session_id, (session_id, "features"), create))


def pod_directory(session_id: str, *, create: bool = False) -> Path:
    """`<DATA_ROOT>/pods/<session_id>`, where a local pod works; with `create` it is made (mode 0750).

    Raises PathRefused, and OSError when the directory cannot be made.
    """
    if not ids.is_session_id(session_id):
        raise PathRefused("an id that names no file")
    return Path(_below(settings.DATA_ROOT, "pods", session_id, create=create))


def make_roots() -> None:
    """Make both roots if they are missing. Raises OSError."""
    for root in (settings.DATA_ROOT, settings.LOG_ROOT):
        Path(root).mkdir(mode=0o750, parents=True, exist_ok=True)


def _directory(root: Path, user_id: str, session_id: str, below: tuple[str, ...], create: bool) -> str:
    if not ids.is_actor_id(user_id) or not ids.is_session_id(session_id):
        raise PathRefused("an id that names no file")
    return _below(root, "users", user_id, "sessions", *below, create=create)


def _below(base: Path, *parts: str, create: bool) -> str:
    if create:
        _make(Path(base), Path(base, *parts))
    at = os.fspath(base)  # the root may itself be reached through links
    for part in parts:
        at = f"{at}/{part}"
        if _is_link(at):
            raise PathRefused("a link stands in the path")
    return at


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False  # what is not there leads nowhere else


def _make(base: Path, directory: Path) -> None:
    """mkdir -p with mode 0750 on every new level; stops at a link instead of making directories behind it."""
    base.mkdir(mode=0o750, parents=True, exist_ok=True)
    at = base
    for part in directory.relative_to(base).parts:
        at = at / part
        if at.is_symlink():
            raise PathRefused("a link stands in the path")
        at.mkdir(mode=0o750, exist_ok=True)
