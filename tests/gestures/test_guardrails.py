"""The guardrails of captures as failing tests, read from syntax trees (GES-2, GES-73)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

GESTURES = Path(settings.BASE_DIR, "gestures")
# From the socket's or the request's bytes to the worker's rows: every module that ever holds a frame.
FRAME_PATH = (
    "body", "capture", "child", "conductor", "consumers", "extractor", "framing", "host", "jpeg", "landmarks", "moves",
    "multipart", "pool", "progress", "protocol", "remote", "rules", "running", "uploads", "worker",
)  # fmt: skip
FORBIDDEN_CALLS = {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "mkstemp",
                   "write_text", "write_bytes"}  # fmt: skip
SCHEMA_BASES = {"Serializer", "ModelSerializer", "WireSerializer", "TypedDict"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(GESTURES.rglob("*.py")):
        yield str(path.relative_to(GESTURES)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every module named by an import, wherever it stands, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node.lineno


def test_only_the_door_imports_mediapipe_and_opencv():
    """GES-73."""
    found = [
        f"{name}:{line}"
        for name, tree in modules()
        for module, line in imported(tree)
        if module.split(".")[0] in ("mediapipe", "cv2") and name != "landmarks.py"
    ]
    assert found == []


def test_only_the_door_to_files_writes_below_the_data_root():
    """GES-73: no other module of the app opens, makes, renames or removes a file."""
    verbs = {"open", "write_text", "write_bytes", "mkdir", "makedirs", "rename", "unlink", "symlink_to"}
    found = [
        f"{name}:{line}"
        for name, tree in modules()
        for call, line in calls(tree)
        if call in verbs and name != "artifacts.py"
    ]
    assert found == []


def test_no_frame_comes_near_a_file_or_redis():
    """GES-2, GES-73: no module between socket and extractor opens a file, makes a temporary one, or speaks to Redis."""
    found = []
    for name, tree in modules():
        if Path(name).stem not in FRAME_PATH:
            continue
        found += [f"{name}:{line}" for call, line in calls(tree) if call in FORBIDDEN_CALLS]
        found += [f"{name}:{line}" for module, line in imported(tree) if {"tempfile", "redis"} & set(module.split("."))]
    assert found == []
    assert set(FRAME_PATH) <= {path.stem for path in GESTURES.rglob("*.py")}


def test_wire_schemas_stand_in_one_place():
    """GES-73, SES-72: views, consumers and uploads take them from `serializers`, and nobody else defines any."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases} & SCHEMA_BASES
        and name != "serializers.py"
    ]
    assert found == []


def test_the_rules_know_neither_django_nor_a_clock():
    """GES-73: capture.py and what it is made of; import-linter holds the same for what they import in turn."""
    for name, tree in modules():
        if name == "capture.py" or name.startswith("machine/"):
            roots = {module.split(".")[0] for module, _ in imported(tree)}
            assert not roots & {"django", "rest_framework", "channels", "time", "asyncio"}, name
            assert not [line for call, line in calls(tree) if call in ("now", "time", "monotonic", "utcnow")], name
