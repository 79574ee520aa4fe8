"""Door to the NPZ files, the only place that writes below DATA_ROOT (GES-44, GES-45, GES-50).

A file holds one array, key `features`: (T, D) float32 little-endian, C order; T frames in order, D columns of the
layout, a group that was not detected is 0.0. Equal arrays give equal bytes.
"""

import hashlib
import io
import os
import re
import secrets
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from gestures.layout import DIMS
from gestures.limits import MAX_FRAMES
from sessions_app import ids, paths

MEMBER = "features.npy"
ABANDONED_S = 3600  # GES-47: a temporary file this old belongs to a process that died
MOST_FILE_BYTES = 4 * DIMS * MAX_FRAMES + 1024  # a longer one is no file of ours, and is not read whole

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP can hold; every file has it
_URI = re.compile(r"data/users/([^/]+)/sessions/([^/]+)/features/([^/]+)\.npz\Z", re.ASCII)

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Temporary:
    """A whole file, synced, that has no name yet by which anyone would find it."""

    path: Path
    hash: str
    size_bytes: int


def features_of(rows: bytes | bytearray, dims: int) -> Features:
    """The array of T rows of `dims` little-endian float32 values. Raises ValueError if a value is not finite."""
    array = np.frombuffer(bytes(rows), dtype="<f4").reshape(-1, dims)
    if not np.isfinite(array).all():
        raise ValueError("a value is not finite")
    return array


def encode(features: Features) -> bytes:
    """The bytes of the file; nothing in them depends on time, host or library version."""
    npy = io.BytesIO()
    array = np.ascontiguousarray(features, dtype="<f4")
    np.lib.format.write_array(npy, array, version=(1, 0), allow_pickle=False)  # type: ignore[no-untyped-call]
    member = zipfile.ZipInfo(MEMBER, _EPOCH)
    member.create_system, member.external_attr = 3, 0o640 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file, file.open(member, "w", force_zip64=True) as entry:
        entry.write(npy.getvalue())  # zip64 as numpy.savez writes it, so that the bytes are numpy's own
    return archive.getvalue()


def decode(data: bytes) -> Features:
    """The array in a file. Raises ValueError unless it is an NPZ with exactly that one array."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            if file.namelist() != [MEMBER]:
                raise ValueError("not exactly one array `features`")
            npy = io.BytesIO(file.read(MEMBER))
            array: Features = np.lib.format.read_array(npy, allow_pickle=False)  # type: ignore[no-untyped-call]
            return array
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, EOFError, NotImplementedError, MemoryError) as error:
        raise ValueError("not an NPZ file") from error


def uri(user_id: str, session_id: str, record_id: str) -> str:
    """How the file is named in references; `data/` stands for DATA_ROOT, whatever its value."""
    return f"data/users/{user_id}/sessions/{session_id}/features/{record_id}.npz"


def resolve(reference: str) -> Path:
    """The file a reference names (GES-50). Raises ValueError for any other form, and when a link stands in the path."""
    match = _URI.match(reference)
    if match is None or not ids.is_canonical_uuid(match[3]):
        raise ValueError("not the reference of a feature file")
    return paths.session_features_dir(match[1], match[2]) / f"{match[3]}.npz"


def write_temporary(user_id: str, session_id: str, record_id: str, features: Features) -> Temporary:
    """Write the file under a temporary name in its final directory and sync it. Raises OSError, PathRefused."""
    directory = paths.session_features_dir(user_id, session_id, create=True)
    _clear_abandoned(directory)
    data = encode(features)
    path = directory / f".{record_id}.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return Temporary(path, hashlib.sha256(data).hexdigest(), len(data))


def publish(temporary: Temporary, record_id: str) -> Path:
    """Give the file its final name, durably. Raises OSError, and then there is no such name."""
    final = temporary.path.with_name(f"{record_id}.npz")
    temporary.path.rename(final)
    try:
        paths.sync_directory(final.parent)
    except OSError:
        remove(final)
        raise
    return final


def remove(path: Path) -> None:
    """Take back a file of a capture that failed; one that is gone already is fine."""
    path.unlink(missing_ok=True)


def is_there(reference: str) -> bool:
    """Whether anything bears the name a reference gives. Raises ValueError for a reference of another form."""
    return os.path.lexists(resolve(reference))


def read(reference: str) -> bytes:
    """The file a reference names, never through a link, and no more of it than one of ours can have.

    Raises FileNotFoundError when there is no such plain file.
    """
    try:
        descriptor = os.open(resolve(reference), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(reference) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(reference)
        return _read_all(descriptor)
    finally:
        os.close(descriptor)


def names(user_id: str, session_id: str) -> list[str]:
    """The record_ids that have a file in the session's directory, be it referenced or not."""
    directory = paths.session_features_dir(user_id, session_id)
    return sorted(path.stem for path in directory.glob("*.npz"))


def directories() -> Iterator[tuple[str, str]]:
    """The user_id and session_id of every directory of feature files, be there such a session or not."""
    for directory in Path(settings.DATA_ROOT, "users").glob("*/sessions/*/features"):
        user_id, session_id = directory.parts[-4], directory.parts[-2]
        if ids.is_actor_id(user_id) and ids.is_session_id(session_id):
            yield user_id, session_id


def sha256(data: bytes) -> str:
    """The hash by which references vouch for a file."""
    return hashlib.sha256(data).hexdigest()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_all(descriptor: int) -> bytes:
    parts, left = [], MOST_FILE_BYTES + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _clear_abandoned(directory: Path) -> None:
    oldest = time.time() - ABANDONED_S
    for path in directory.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # another completion clears at the same time
            if path.lstat().st_mtime < oldest:
                path.unlink()
