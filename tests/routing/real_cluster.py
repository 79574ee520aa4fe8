"""A real Kubernetes API behind the calls of kube.Kube, for the suite under `-m cluster`.

KUBECONFIG is what Baton itself uses and needs no more than the rights of POD-67. KUBECONFIG_ADMIN (by default the same)
is what the suite uses to look around, to play KEDA and, where no kubelet runs anything, to make Deployments ready.
"""

import os
import threading
import time
from contextlib import suppress
from typing import Any

import httpx2
import redis
from django.conf import settings
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.types import CascadeType, PatchType

from routing import cluster, manifests

POLL_S = 0.2


class RealCluster:
    """What the suite asks of a cluster."""

    def __init__(self) -> None:
        config = KubeConfig.from_file(os.environ.get("KUBECONFIG_ADMIN", os.environ["KUBECONFIG"])).get()
        self._client = Client(config=config, namespace=settings.PODS_NAMESPACE)
        self._redis = redis.Redis.from_url(settings.REDIS_URL)
        self.keda, self.cooldown_s = False, 3600.0
        self._active_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._clear()

    @property
    def objects(self) -> list[Any]:
        """Everything with our label that is not already on its way out."""
        return [one for kind in cluster.KINDS for one in self._of(kind)]

    def _of(self, kind: Any) -> list[Any]:
        found = self._client.list(kind, labels={manifests.MANAGED_BY: "baton"})
        return [one for one in found if not one["metadata"].get("deletionTimestamp")]

    def run_controllers(self) -> None:
        """Begin."""
        threading.Thread(target=self._control, daemon=True).start()

    def close(self) -> None:
        """End, and leave nothing behind."""
        self._stopping.set()
        self._clear()
        self._redis.close()

    def _clear(self) -> None:
        for kind in cluster.KINDS:
            for one in self._of(kind):
                with suppress(httpx2.HTTPStatusError):  # collected with its owner
                    self._client.delete(kind, one["metadata"]["name"], cascade=CascadeType.BACKGROUND)

    def _control(self) -> None:
        while not self._stopping.wait(POLL_S):
            for deployment in self._client.list(cluster.Deployment, labels={manifests.MANAGED_BY: "baton"}):
                with suppress(httpx2.HTTPError):  # deleted meanwhile, or a kubelet does it
                    self._tend(deployment)

    def _tend(self, deployment: Any) -> None:
        name, wanted = deployment["metadata"]["name"], deployment["spec"].get("replicas", 0)
        ready = deployment.get("status", {}).get("readyReplicas", 0)
        if ready != wanted:
            status = {"status": {"replicas": wanted, "readyReplicas": wanted}}
            self._client.patch(cluster.Deployment.Status, name, status, patch_type=PatchType.MERGE)
        if self.keda:
            self._poll(deployment, name, wanted)

    def _poll(self, deployment: Any, name: str, wanted: int) -> None:
        session_id = deployment["metadata"]["labels"][manifests.SESSION_LABEL]
        lists = [f"baton:{held}:{session_id}" for held in ("queue", "inflight")]
        if any(self._redis.llen(one) for one in lists):
            self._active_at[name] = time.monotonic()
            self._scale(name, wanted, 1)
        elif time.monotonic() - self._active_at.get(name, -1e9) > self.cooldown_s:
            self._scale(name, wanted, 0)

    def _scale(self, name: str, before: int, after: int) -> None:
        if before != after:
            scale = {"spec": {"replicas": after}}
            self._client.patch(cluster.Deployment.Scale, name, scale, patch_type=PatchType.MERGE)
