"""The reference solvers of golf: started unless the user names both services (OPS-5), on free ports (OPS-6)."""

from dataclasses import dataclass

from launcher.ports import Claims

HOST = "127.0.0.1"
PORTS = {"PUTT_SOLVER_URL": ("--putt-port", 7071), "TEE_TO_GREEN_URL": ("--plan-port", 7072)}


@dataclass(frozen=True, slots=True)
class Solvers:
    """`argv` starts them and is empty when none are wanted; `env` tells the others where they are."""

    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()


def settle(said: dict[str, str], claims: Claims) -> Solvers:
    """Where they will listen. Raises Refusal when no port is free."""
    if all(name in said for name in PORTS):
        return Solvers()
    argv, env, notices, lowest = ["manage.py", "serve_solvers"], [], [], 0
    for name, (option, default) in PORTS.items():
        port = claims.next_free(HOST, max(default, lowest))
        lowest = port + 1
        argv += [option, str(port)]
        if port != default:
            notices.append(f"port: {default} is taken, using {port}")
        if name not in said:
            env.append((name, f"http://{HOST}:{port}"))
    return Solvers(tuple(argv), tuple(env), tuple(notices))
