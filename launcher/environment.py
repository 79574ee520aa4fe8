"""The environment of every child: the process, then ENV_FILE, then `var/secrets.env`, then what ./run adds (OPS-63)."""

import os
import re
from pathlib import Path

from launcher import ports, secretfile
from launcher.errors import MissingNeed, Refusal
from launcher.paths import DATA, LOGS, ROOT
from launcher.ports import Claims

DEFAULT_ADDRESS = "127.0.0.1:8080"
OPEN = {"DEBUG": "true", "AUTH_REQUIRED": "false"}  # OPS-10: ./run --open


def given() -> dict[str, str]:
    """What the user said: the process's environment over ENV_FILE. An empty value is no value. Raises MissingNeed."""
    said = {name: value for name, value in os.environ.items() if value}
    if path := said.get("ENV_FILE"):
        if not Path(path).is_file():
            raise MissingNeed(f"ENV_FILE names {path}, which is no file.")
        said = {**{name: value for name, value in secretfile.read_env(Path(path)).items() if value}, **said}
    return said


def address(said: dict[str, str], claims: Claims | None) -> tuple[str, int, str]:
    """Host and port of the web process, and a line to print if the default port was taken (OPS-6).

    Without claims nobody is going to listen there. Raises Refusal.
    """
    named = said.get("SERVER_ADDR")
    host, port = ports.parse(named or DEFAULT_ADDRESS, name="SERVER_ADDR")
    if claims is None or claims.take(host, port):
        return host, port, ""
    if named:
        raise Refusal(f"Port {port} of SERVER_ADDR={named} is taken.")
    free = claims.next_free(host, port + 1)
    return host, free, f"port: {port} is taken, using {free}"


def check_open(said: dict[str, str]) -> None:
    """Raises Refusal if `./run --open` would be reachable from another machine (OPS-10)."""
    host, _ = ports.parse(said.get("SERVER_ADDR") or DEFAULT_ADDRESS, name="SERVER_ADDR")
    if not ports.is_loopback(host):
        raise Refusal(f"--open serves this machine only, and SERVER_ADDR is {said['SERVER_ADDR']}.")


def web_url(host: str, port: int) -> str:
    """Where a browser on this machine finds the web process."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"


def of_children(said: dict[str, str], kept: dict[str, str], host: str, port: int) -> dict[str, str]:
    """The whole environment, servers excepted; `kept` are the secrets of var/, which the user's own values beat."""
    default = {
        "PUBLIC_URL": f"http://localhost:{port}",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "DATA_ROOT": str(DATA),
        "LOG_ROOT": str(LOGS),
    }
    fixed = {"SERVER_ADDR": f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "PYTHONUNBUFFERED": "1"}
    return {**default, **kept, **said, **fixed}


def shareable(env: dict[str, str]) -> dict[str, str]:
    """The settings in a child's environment and what we added to it, without what else the user's shell holds."""
    names = setting_names()
    return {name: value for name, value in env.items() if name in names or os.environ.get(name) != value}


def setting_names() -> set[str]:
    """Every name Baton reads, as .env.example lists them (OPS-63)."""
    example = ROOT / ".env.example"
    text = example.read_text() if example.exists() else ""
    return set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))
