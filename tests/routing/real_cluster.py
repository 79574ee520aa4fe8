"""A real Kubernetes API behind the calls of kube.Kube, for the suite under `-m cluster`.

KUBECONFIG is what Baton itself uses and needs no more than the rights of POD-67; its context names the namespace.
KUBECONFIG_ADMIN (by default the same) is what the suite uses to look around, to play KEDA, and to make ready what no
controller or no kubelet makes ready. How to run it: deploy/k8s/README.md.
"""

import os
import threading
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from django.conf import settings
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from routing import cluster, manifests
from tests.routing.keda import Keda

POLL_S = 0.2
HOSTILE = ("a" * 128, "a+b@c.d", "A-", "x" * 39 + "@", "0" + "." * 127, "-@+._".join("Zz9"))
SUITES_OWN = ("u1", *HOSTILE)  # nobody else's pods are touched
IMAGE = os.environ.get("CLUSTER_POD_IMAGE", "registry.example/agent:1")

Pod: Any = create_namespaced_resource("", "v1", "Pod", "pods")
_KINDS: dict[str, Any] = {"deployments": cluster.Deployment, "services": cluster.Service,
                          "scaledobjects": cluster.ScaledObject}  # fmt: skip


def kubeconfig() -> str:
    """The user's own. Fails the test where there is none."""
    return os.environ.get("KUBECONFIG") or pytest.fail("Tests marked `cluster` need KUBECONFIG: deploy/k8s/README.md.")


class RealCluster:
    """What the suite asks of a cluster."""

    def __init__(self) -> None:
        self.namespace = _config(kubeconfig()).namespace or "default"
        config = _config(os.environ.get("KUBECONFIG_ADMIN") or kubeconfig())
        self._client = Client(config=config, namespace=self.namespace)
        self.keda, self._keda = False, Keda(settings.REDIS_URL)
        self._stopping, self._thread = threading.Event(), threading.Thread(target=self._control, daemon=True)
        self._refuse_company()
        self._clear()

    @property
    def objects(self) -> list[Any]:
        """Everything with our label that is not already on its way out."""
        return [one for plural in _KINDS for one in self.of(plural)]

    def of(self, plural: str) -> list[Any]:
        """Every object of a kind."""
        found = self._client.list(_KINDS[plural], labels={manifests.MANAGED_BY: "baton"})
        return [one for one in found if not one["metadata"].get("deletionTimestamp")]

    def change(self, plural: str, name: str, patch: dict[str, Any]) -> None:
        """A merge patch by somebody else."""
        self._client.patch(_KINDS[plural], name, patch, patch_type=PatchType.MERGE)

    def remove(self, plural: str, name: str) -> None:
        """A deletion by somebody else."""
        with suppress(httpx2.HTTPStatusError):  # collected with its owner
            self._client.delete(_KINDS[plural], name, cascade=CascadeType.BACKGROUND)

    def cool_down(self, seconds: float) -> None:
        """From now on play KEDA, with this cooldown."""
        self.keda, self._keda.cooldown_s = True, seconds

    def run_controllers(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and leave nothing behind."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._clear()
        self._client.close()
        self._keda.close()

    def _refuse_company(self) -> None:
        """A worker of the suite would take a living installation's pods for orphans (POD-71). Fails the test."""
        ours = {manifests.labels("", user_id)["user-id"] for user_id in SUITES_OWN}
        others = {str(one["metadata"]["labels"].get("user-id")) for one in self.objects} - ours
        if others:
            self._client.close()
            self._keda.close()
            pytest.fail(f"Namespace {self.namespace} holds the pods of others: {sorted(others)}")

    def _clear(self) -> None:
        for plural in _KINDS:
            for one in self.of(plural):
                self.remove(plural, one["metadata"]["name"])

    def _control(self) -> None:
        while not self._stopping.wait(POLL_S):
            with suppress(httpx2.HTTPError):  # deleted meanwhile, or changed by a kubelet
                deployments = {one["metadata"]["name"]: one for one in self.of("deployments")}
                for deployment in deployments.values():
                    self._make_ready(deployment)
                for scaled in self.of("scaledobjects") if self.keda else ():
                    self._poll(scaled, deployments.get(scaled["spec"]["scaleTargetRef"]["name"]))

    def _make_ready(self, deployment: Any) -> None:
        """What the controllers do where there are none, and the kubelet for pods that have no node."""
        name, wanted = deployment["metadata"]["name"], deployment["spec"].get("replicas", 0)
        status = deployment.get("status", {})
        if "observedGeneration" in status:
            for pod in self._client.list(Pod, labels={"app": name}):
                if not pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending":
                    self._client.patch(Pod.Status, pod["metadata"]["name"], _RUNNING, patch_type=PatchType.MERGE)
        elif status.get("readyReplicas", 0) != wanted:
            status = {"status": {"replicas": wanted, "readyReplicas": wanted}}
            self._client.patch(cluster.Deployment.Status, name, status, patch_type=PatchType.MERGE)

    def _poll(self, scaled: Any, deployment: Any) -> None:
        if deployment is None:
            return
        before = deployment["spec"].get("replicas", 0)
        if (after := self._keda.wanted(scaled, before)) != before:
            scale = {"spec": {"replicas": after}}
            self._client.patch(
                cluster.Deployment.Scale, deployment["metadata"]["name"], scale, patch_type=PatchType.MERGE
            )


_RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


def _config(place: str) -> SingleConfig:
    found = KubeConfig.from_file(place).get()
    assert found is not None, f"{place} names no context"
    return found
