"""The rules of the house as failing tests, read from syntax trees and naming file and line (SES-69 to SES-74)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

APPS = ("config", "sessions_app", "devices", "gestures", "routing")
RECORDER = "sessions_app/eventlog.py"
WAYS_TO_A_LOG = {"session_log_path", "log_place", "open_log_directory"}
PATHS = "sessions_app/paths.py"
SESSIONS = "sessions_app/sessions.py"
WRITING_MODES = set("wax+")

Call = tuple[str, ast.Call]


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product: its path from the root, its tree."""
    root = Path(settings.BASE_DIR)
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text())


def calls() -> Iterator[Call]:
    """Every call in the product."""
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield name, node


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def at(name: str, node: ast.AST) -> str:
    return f"{name}:{getattr(node, 'lineno', 0)}"


def texts(node: ast.AST) -> Iterator[str]:
    """Every string below `node`, parts of f-strings included."""
    for below in ast.walk(node):
        if isinstance(below, ast.Constant) and isinstance(below.value, str):
            yield below.value


def opens_for_writing(call: ast.Call) -> bool:
    """open(..., 'a'), Path.open('w'), os.open(... O_WRONLY ...), write_text, write_bytes."""
    name = called(call)
    if name in ("write_text", "write_bytes"):
        return True
    if name != "open":
        return False
    modes = [text for text in texts(ast.Tuple(elts=[*call.args, *(k.value for k in call.keywords)])) if len(text) <= 3]
    flags = {getattr(node, "attr", "") for node in ast.walk(call)}
    return any(WRITING_MODES & set(mode) for mode in modes) or bool({"O_WRONLY", "O_RDWR", "O_APPEND"} & flags)


def test_only_the_recorder_takes_a_flock_on_a_log():
    """SES-69."""
    assert [at(name, call) for name, call in calls() if called(call) == "flock" and name != RECORDER] == []


def test_only_the_recorder_writes_jsonl():
    """SES-69, SES-66: no function outside it both names a .jsonl file and opens something for writing."""
    found = []
    for name, tree in sources():
        if name in (RECORDER, "routing/agent.py"):  # the agent is a pod's program and keeps its own history
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                names_log = any(".jsonl" in text for text in texts(function)) or any(
                    called(call) in WAYS_TO_A_LOG for call in inside
                )
                found += [at(name, call) for call in inside if names_log and opens_for_writing(call)]
    assert found == []


def test_only_paths_makes_directories_below_a_root():
    """SES-70: elsewhere nobody who names a root makes a directory."""
    found = []
    for name, tree in sources():
        makes = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and called(n) in ("mkdir", "makedirs")]
        roots = {getattr(node, "attr", "") for node in ast.walk(tree)} & {"LOG_ROOT", "DATA_ROOT"}
        if name != PATHS and makes and roots:
            found += [at(name, call) for call in makes]
    assert found == []


def test_sessions_open_nothing():
    """SES-71."""
    touched = ("open", "write_text", "write_bytes")
    assert [at(name, call) for name, call in calls() if name == SESSIONS and called(call) in touched] == []


def test_only_sessions_changes_a_status():
    """SES-74: assignments to `.status` of a session, and updates that name it."""
    found = []
    for name, tree in sources():
        if name == SESSIONS or not name.startswith("sessions_app/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                found += [at(name, t) for t in node.targets if isinstance(t, ast.Attribute) and t.attr == "status"]
            if isinstance(node, ast.Call) and called(node) == "update":
                found += [at(name, node) for keyword in node.keywords if keyword.arg == "status"]
    assert found == []


@pytest.mark.parametrize("app", ["devices", "gestures", "routing"])
def test_siblings_do_not_know_each_other_and_the_spine_knows_none(app):
    """SES-72."""
    others = {"devices", "gestures", "routing"} - {app}
    found = []
    for name, tree in sources():
        forbidden = others if name.startswith(f"{app}/") else {app} if name.startswith("sessions_app/") else set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in forbidden:
                found.append(at(name, node))
            if isinstance(node, ast.Import):
                found += [at(name, node) for alias in node.names if alias.name.split(".")[0] in forbidden]
    assert found == []


def test_views_take_wire_schemas_only_from_serializers_or_protocol():
    """SES-72: a view or consumer imports classes named ...In or ...Out from nowhere else."""
    found = []
    for name, tree in sources():
        if not name.endswith(("views.py", "consumers.py")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not (node.module or "").endswith(("serializers", "protocol")):
                found += [at(name, node) for alias in node.names if alias.name.endswith(("In", "Out"))]
    assert found == []


def test_no_recorded_schema_has_room_for_media():
    """SES-73: no event any module builds has a member for frame, image or audio bytes."""
    forbidden = {"frame_data", "audio_payload", "image_data", "image_bytes", "frame_bytes", "audio_bytes", "jpeg"}
    found = []
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
                if {"record_id", "event"} <= keys:
                    found += [f"{at(name, node)} {key!r}" for key in keys & forbidden]
    assert found == []


def test_no_module_is_a_drawer_for_everything():
    """The rooms have names that say what they hold."""
    drawers = {"utils.py", "helpers.py", "services.py", "selectors.py", "constants.py", "types.py", "managers.py"}
    assert [name for name, _ in sources() if Path(name).name in drawers] == []
