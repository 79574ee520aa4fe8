"""Debug bundles: one JSON file for each call for advice, for engineers (ADV-76 to ADV-80). The door to
DEBUG_BUNDLE_DIR.

Never in a bundle: keys, tokens, headers, user names, absolute paths. Positions are cut to about 0.1 m.
"""

import datetime as dt
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from routing.golf import golf_metrics
from sessions_app import clock

MOST_BYTES = 1_000_000
_TEMPORARY, _TEMPORARY_AGE_S = ".tmp-", 3600
_NAME = re.compile(r"(\d{8}T\d{6}\d{3}Z)_[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.json", re.ASCII)

log = structlog.get_logger(__name__)


def write(document: dict[str, Any], *, request_id: str) -> None:
    """Keep the document as a file of its own; a failure is logged and counted and changes nothing (ADV-78)."""
    try:
        _write(document, request_id)
        if len(list(_bundles())) > settings.DEBUG_BUNDLE_MAX_COUNT:
            prune()
    except (OSError, ValueError, TypeError) as error:
        golf_metrics.BUNDLE_FAILURES.inc()
        log.error("debug_bundle.failed", error=type(error).__name__)


def prune(*, dry_run: bool = False) -> tuple[int, int]:
    """Delete what is too old, then the oldest above the count, and temporary files left behind; (removed, kept)."""
    oldest = _stamp(clock.now() - dt.timedelta(seconds=settings.DEBUG_BUNDLE_MAX_AGE_S))
    bundles = sorted(_bundles(), key=lambda path: path.name)
    young = [path for path in bundles if path.name[: len(oldest)] >= oldest]
    kept = young[-settings.DEBUG_BUNDLE_MAX_COUNT :]
    doomed = [path for path in bundles if path not in set(kept)] + list(_left_behind())
    for path in doomed:
        if not dry_run:
            with suppress(FileNotFoundError):  # another process prunes too
                path.unlink()
    return len(doomed), len(kept)


def user_ref(name: str) -> str:
    """What stands for a user: the same for the same person, telling nothing without the server's secret."""
    return hmac.new(settings.SECRET_KEY.encode(), name.encode(), hashlib.sha256).hexdigest()[:12]


def _write(document: dict[str, Any], request_id: str) -> None:
    folder = Path(settings.DEBUG_BUNDLE_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(_bytes(document))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(_free_name(folder, request_id))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _bytes(document: dict[str, Any]) -> bytes:
    """At most MOST_BYTES: the planner's debug goes first, then the plan (ADV-77)."""
    document = _coarse(document)
    data = _dumped(document)
    if len(data) > MOST_BYTES and "debug" in document.get("plan", {}):
        plan = {name: value for name, value in document["plan"].items() if name != "debug"}
        document = {**document, "plan": plan, "truncated": True}
        data = _dumped(document)
    if len(data) > MOST_BYTES:
        data = _dumped({**{name: value for name, value in document.items() if name != "plan"}, "truncated": True})
    return data


def _dumped(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _coarse(value: Any, name: str = "") -> Any:
    """The same with latitudes and longitudes of six decimals."""
    if isinstance(value, dict):
        return {key: _coarse(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [_coarse(entry) for entry in value]
    return round(value, 6) if name in ("lat", "lon") and isinstance(value, float) else value


def _free_name(folder: Path, request_id: str) -> Path:
    """The name of now; of two calls with one id in one millisecond the second takes the next."""
    at = clock.now()
    while (path := folder / f"{_stamp(at)}_{request_id}.json").exists():
        at += dt.timedelta(milliseconds=1)
    return path


def _stamp(at: dt.datetime) -> str:
    return clock.stamp(at).translate(str.maketrans("", "", "-:."))


def _bundles() -> Iterator[Path]:
    """Files of ours; nothing else in the folder is looked at, and no link is followed (ADV-80)."""
    for entry in _entries():
        if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _left_behind() -> Iterator[Path]:
    """Temporary files of writes that died."""
    since = clock.now().timestamp() - _TEMPORARY_AGE_S
    for entry in _entries():
        if entry.name.startswith(_TEMPORARY) and entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < since:
            yield Path(entry.path)


def _entries() -> list[os.DirEntry[str]]:
    try:
        with os.scandir(settings.DEBUG_BUNDLE_DIR) as found:
            return list(found)
    except FileNotFoundError:
        return []
