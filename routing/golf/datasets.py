"""The greens this installation knows: registry, manifests and grids, read and checked once at start (ADV-38 to ADV-44).

The door to `COURSE_DATA_ROOT`. A dataset is found by its key in the registry, never by a path (ADV-39); sentences about
faults name no path either (ADV-21).
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings

from routing.errors import DatasetInvalid, DatasetNotFound, RegistryUnavailable
from routing.golf import grid, hole_map, manifest
from routing.golf.grid import Fault
from routing.golf.hole_map import HoleMap
from routing.golf.manifest import Manifest
from routing.golf.shapes import KEY, anything, array, closed, integer, one_of, require, text
from routing.surface import GRID_UNREADABLE, Green
from sessions_app import jsonwire
from sessions_app.kinds import DomainError, FieldErrors

SHIPPED_ROOT = Path(__file__).parent.parent / "course_data"
_LARGEST_JSON_BYTES, _LARGEST_GRID_BYTES = 4_000_000, 512_000_000


@dataclass(frozen=True)
class Dataset:
    """One usable green. heights: (nx, ny) float64 metres, first axis local x, or None when only the grid is missing."""

    manifest: Manifest
    manifest_path: str
    grid_path: str
    manifest_sha256: str
    grid_sha256: str | None
    green: Green
    heights: npt.NDArray[np.float64] | None
    hole: HoleMap | None
    warnings: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know: absent hashes, an unreadable grid, surveyed points that disagree."""
        names = ("grid_sha256", "manifest_sha256")
        absent = [f"HASH_ABSENT: no {name}" for name in names if getattr(self.manifest, name) is None]
        return (*absent, *self.warnings)


@dataclass(frozen=True)
class Refusal:
    """An entry of the registry that cannot be used, and why."""

    dtm_id: str
    reason: str


@dataclass(frozen=True)
class Registry:
    """What was found at start. `error` is set when the registry itself could not be read."""

    datasets: Mapping[tuple[str, int], Dataset] = field(default_factory=dict)
    refused: Mapping[tuple[str, int], Refusal] = field(default_factory=dict)
    invalid: tuple[Refusal, ...] = ()
    error: str | None = None

    def hole(self, course_id: str, hole_id: int) -> Dataset:
        """The dataset of this hole. Raises RegistryUnavailable, DatasetInvalid, DatasetNotFound."""
        if self.error is not None:
            raise RegistryUnavailable
        if (course_id, hole_id) in self.datasets:
            return self.datasets[course_id, hole_id]
        if (course_id, hole_id) in self.refused:
            raise DatasetInvalid
        raise DatasetNotFound

    def dtm(self, dtm_id: str) -> Dataset | None:
        """The dataset with this key, or None."""
        return next((found for found in self.datasets.values() if found.manifest.dtm_id == dtm_id), None)

    @property
    def warning(self) -> str | None:
        """What an operator should know of the usable datasets, in one sentence, or None."""
        notes = [f"{found.manifest.dtm_id} {note}" for found in self.datasets.values() for note in found.notes]
        return "; ".join(notes) or None


def registry() -> Registry:
    """The registry of this process, loaded at the first call and never again."""
    global _registry
    with _loading:
        if _registry is None:
            _registry = load(Path(settings.COURSE_DATA_ROOT), Path(settings.DATASET_REGISTRY_PATH))
        return _registry


def load(root: Path, registry_path: Path) -> Registry:
    """Read and check everything below `root`; faults become part of the answer, nothing is raised."""
    try:
        entries = _entries(registry_path)
    except (Fault, DomainError) as error:
        return Registry(error=str(error))
    doubled = _doubled(entries)
    datasets: dict[tuple[str, int], Dataset] = {}
    refused: dict[tuple[str, int], Refusal] = {}
    invalid = []
    for number, entry in enumerate(entries, 1):
        try:
            found = _dataset(root, entry, doubled)
        except (Fault, DomainError) as error:
            refusal = Refusal(_name(entry, number), str(error))
            invalid.append(refusal)
            if (hole := _hole_of(entry)) is not None:
                refused[hole] = refusal
        else:
            datasets[found.manifest.course_id, found.manifest.hole_id] = found
    return Registry(datasets, refused, tuple(invalid))


def _entries(registry_path: Path) -> list[Any]:
    document = jsonwire.loads(_read(registry_path, _LARGEST_JSON_BYTES, "registry"))
    require(_REGISTRY, document)
    entries: list[Any] = document["datasets"]
    return entries


def _doubled(entries: list[Any]) -> set[object]:
    """Keys and holes that more than one entry claims; every entry involved is invalid."""
    claims: Counter[object] = Counter()
    for entry in entries:
        if isinstance(entry, dict):
            claims.update(key for key in (entry.get("dtm_id"),) if isinstance(key, str))
            claims.update(hole for hole in (_hole_of(entry),) if hole is not None)
    return {claim for claim, times in claims.items() if times > 1}


def _dataset(root: Path, entry: Any, doubled: set[object]) -> Dataset:
    require(_ENTRY, entry)
    if {entry["dtm_id"], _hole_of(entry)} & doubled:
        raise Fault("another entry has the same dtm_id or hole")
    document = jsonwire.loads(_read(_inside(root, entry["manifest_path"]), _LARGEST_JSON_BYTES, "manifest"))
    found = manifest.parse(document)
    for name in ("dtm_id", "course_id", "hole_id", "green_id"):
        if getattr(found, name) != entry[name]:
            raise Fault(f"{name} of the manifest differs from the registry")
    if PurePosixPath(entry["grid_path"]).name != found.grid_file:
        raise Fault("grid.file is not the base name of grid_path")
    hole = None
    if "hole_geometry_path" in entry:
        path = _inside(root, entry["hole_geometry_path"])
        hole = hole_map.parse(jsonwire.loads(_read(path, _LARGEST_JSON_BYTES, "hole geometry")))
    return _with_grid(found, entry, _inside(root, entry["grid_path"]), manifest.digest(document), hole)


def _with_grid(found: Manifest, entry: dict[str, Any], path: Path, digest: str, hole: HoleMap | None) -> Dataset:
    heights = valid = sha256 = None
    warnings = found.warnings
    try:
        data = _read(path, _LARGEST_GRID_BYTES, "grid")
    except Fault:
        warnings = (*warnings, GRID_UNREADABLE)  # the one fault a dataset survives (ADV-44)
    else:
        sha256 = hashlib.sha256(data).hexdigest()
        if found.grid_sha256 not in (None, sha256):
            raise Fault("grid_sha256 does not match the grid")
        heights, valid = grid.read_grid(data, found.grid)
    green = Green(found.x_max_m, found.y_max_m, found.grid.spacing_m, valid, found.outline)
    return Dataset(found, entry["manifest_path"], entry["grid_path"], digest, sha256, green, heights, hole, warnings)


def _inside(root: Path, relative: str) -> Path:
    """The file an entry names. Raises Fault for a path that is absolute, climbs, or leaves the root by a link."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\0" in relative or "\\" in relative:
        raise Fault("a path of the entry is not relative to the root")
    try:
        resolved = (root / path).resolve()
    except (OSError, RuntimeError):  # a loop of links
        raise Fault("a path of the entry cannot be followed") from None
    if not resolved.is_relative_to(root.resolve()):
        raise Fault("a path of the entry leaves the root")
    return resolved


def _read(path: Path, most_bytes: int, what: str) -> bytes:
    try:
        if not path.is_file():
            raise Fault(f"the {what} is missing")
        if path.stat().st_size > most_bytes:
            raise Fault(f"the {what} is larger than {most_bytes} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"the {what} cannot be read: {error.strerror}") from error


def _hole_of(entry: Any) -> tuple[str, int] | None:
    if not isinstance(entry, dict):
        return None
    course_id, hole_id = entry.get("course_id"), entry.get("hole_id")
    if isinstance(course_id, str) and isinstance(hole_id, int) and not isinstance(hole_id, bool):
        return course_id, hole_id
    return None


def _name(entry: Any, number: int) -> str:
    """What stands for a refused entry in health: its key, or its place when the key itself is broken."""
    try:
        require(KEY, entry["dtm_id"])
    except (FieldErrors, KeyError, TypeError):
        return f"entry {number}"
    return str(entry["dtm_id"])


_registry: Registry | None = None
_loading = threading.Lock()
_PATH = text(r"[\s\S]+", most=1024)
_REGISTRY = closed({"contract_version": one_of(manifest.CONTRACT_VERSION), "datasets": array(anything, most=10_000)})
_ENTRY = closed(
    {
        "course_id": KEY,
        "hole_id": integer(1),
        "green_id": KEY,
        "dtm_id": KEY,
        "manifest_path": _PATH,
        "grid_path": _PATH,
    },
    {"hole_geometry_path": _PATH},
)
