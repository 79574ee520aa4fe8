"""Course folders for tests: the shipped one as written, with one thing changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routing.golf import datasets, manifest, synthetic
from routing.golf.datasets import Registry

PLANE = "baton_links/hole_2"


def make_course(root: Path, **changes: Callable[[Any], Any]) -> Path:
    """Write the shipped course below `root`; `registry`, `plane` (hole 2's manifest) may be changed by a function.

    The manifest's own hash is renewed after a change, so that only the change is at fault.
    """
    for path, data in synthetic.files().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    if "registry" in changes:
        rewrite(root / "datasets.json", changes["registry"])
    if "plane" in changes:
        rewrite(root / PLANE / "manifest.json", lambda document: _rehashed(document, changes["plane"]))
    return root


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change one JSON file in place; what the function returns is written, or the document it changed."""
    document = json.loads(path.read_bytes())
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed))


def load(root: Path) -> Registry:
    """The registry of a course folder."""
    return datasets.load(root, root / "datasets.json")


def _rehashed(document: Any, change: Callable[[Any], Any]) -> Any:
    before = document["hashes"].get("manifest_sha256")
    change(document)
    hashes = document.get("hashes", {})
    if before is not None and hashes.get("manifest_sha256") == before:
        hashes["manifest_sha256"] = manifest.digest(document)
    return document
