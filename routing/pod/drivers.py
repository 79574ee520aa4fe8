"""What runs the pods: `local` subprocesses or Kubernetes Deployments (POD sections 7 and 8), as one set of calls.

A driver is a module with the functions of `Driver`; only the one in use is imported, so that lightkube costs a local
installation nothing (POD-55).
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from django.conf import settings

if TYPE_CHECKING:
    from routing.models import Pod

MODULES = {"local": "routing.pod.local_driver", "kubernetes": "routing.pod.cluster_driver"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What is really there (POD-24); `replicas` is None when it could not be read."""

    replicas: int | None
    ready: bool = False
    error: str | None = None


class Driver(Protocol):
    """What clients' verbs ask of a driver. No call is made inside a database transaction (POD-65)."""

    def prepare(self, session_id: str, user_id: str) -> bool:
        """Make what a sleeping pod needs; whether this call made it. Raises the Cluster errors."""

    def discard(self, session_id: str) -> None:
        """Remove what prepare made; a failure is logged, and what it leaves is an orphan."""

    def wake(self, pod: "Pod") -> bool:
        """Carry out a wake that is committed, if this process can; whether the backend can be reached now."""

    def remove(self, pod: "Pod") -> bool:
        """Take down what runs the pod; whether it is gone. Raises the Cluster errors."""

    def observe(self, pod: "Pod") -> Observed:
        """Read what is really there, within 2 s."""

    def close(self) -> None:
        """Give back what is kept open between calls, when the process ends; a later call opens it anew."""


def current() -> Driver:
    """The driver of POD_DRIVER."""
    return cast(Driver, import_module(MODULES[settings.POD_DRIVER]))
