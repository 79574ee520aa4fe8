"""What a tender asks of that which runs its pod: the one thing the drivers do differently in a worker."""

import datetime as dt
from enum import Enum
from typing import Protocol

from django.conf import settings

from routing.models import Pod
from routing.pod.podcalls import Address
from sessions_app import clock


class Rise(Enum):
    """How far a waking pod has come; the last two are reasons to give up."""

    RISING = "rising"
    READY = "ready"
    START_FAILED = "start_failed"
    START_TIMEOUT = "start_timeout"


class Pulse(Enum):
    """How a serving pod is."""

    WELL = "well"
    LOST = "lost"
    AT_ZERO = "at_zero"


class Backend(Protocol):
    """One pod's process or Deployment, in the hands of one tender."""

    @property
    def address(self) -> Address:
        """Where the running pod is reached."""

    @property
    def output(self) -> str:
        """The last lines the pod wrote, where they are known."""

    async def rise(self, pod: Pod) -> Rise:
        """Do what a waking pod needs next, and tell how far it is."""

    async def pulse(self) -> Pulse:
        """How a serving pod without a message at work is. Asks no database."""

    async def lie_down(self, pod: Pod) -> bool:
        """Stop what runs the pod; True once it is gone."""

    async def let_go(self) -> None:
        """End what must not outlive this worker."""


def is_over(since: dt.datetime) -> bool:
    """Whether a wake that began at `since` has used up its time."""
    return clock.now() >= since + dt.timedelta(seconds=settings.POD_WAKE_TIMEOUT_S)
