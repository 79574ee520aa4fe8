"""The backends of one worker, by driver; only the one in use is imported (POD-55)."""

import asyncio
from typing import TYPE_CHECKING

from django.conf import settings

from routing.models import Pod
from routing.pod.backend import Backend
from routing.pod.hands import Hands
from routing.pod.local_backend import LocalBackend

if TYPE_CHECKING:
    from routing.pod.cluster_backend import Observer


class Backends:
    """Makes the backend of each pod, and runs what they share."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._observer: Observer | None = None
        if settings.POD_DRIVER == "kubernetes":
            from routing.pod import cluster_backend

            self._observer = cluster_backend.Observer(hands)

    def of(self, pod: Pod) -> Backend:
        """What runs this pod."""
        if self._observer is None:
            return LocalBackend(self._hands, pod)
        from routing.pod import cluster_backend

        return cluster_backend.ClusterBackend(self._hands, self._observer, pod)

    async def run(self) -> None:
        """Do what goes on beside the tenders, until cancelled."""
        if self._observer is not None:
            await self._observer.run()
        await asyncio.Event().wait()
