"""A strict stand-in of the Kubernetes API with a mind of its own: a controller that makes Deployments ready, and KEDA.

It refuses what a real server refuses (kube_objects.py), grants only the rights of POD-67, demands strict validation of
every write, and keeps the owner of `spec.replicas` as server-side apply does.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.routing import kube_apply, kube_objects
from tests.routing.keda import Keda
from tests.routing.kube_http import TOKEN, KubeServer, Object, status_of
from tests.routing.kube_objects import Refused

POLL_S = 0.05

# POD-67, to the letter.
RIGHTS = {
    "deployments": {"get", "list", "watch", "create", "patch", "delete"},
    "deployments/scale": {"get", "patch"},
    "services": {"get", "list", "create", "patch", "delete"},
    "scaledobjects": {"get", "list", "create", "patch", "delete"},
}
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/[^/]+"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?\Z"
)
_GROUPS = {"deployments": "apps", "services": None, "scaledobjects": "keda.sh"}
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"

Fault = Callable[[str, str], tuple[int, str] | None]


class Kube(KubeServer):
    """The store behind the server. `fault(verb, what)` may answer a request in its place."""

    def __init__(self, *, ready_after_s: float = 0.05, redis_url: str = "") -> None:
        super().__init__()
        self.objects: dict[tuple[str, str], Object] = {}
        self.requests: list[tuple[str, str]] = []  # verb, resource
        self.scaled: list[tuple[str, int]] = []
        self.fault: Fault = lambda verb, what: None
        self.keda = False
        self._ready_after_s = ready_after_s
        self._keda = Keda(redis_url) if redis_url else None
        self._lock = threading.RLock()
        self._created: dict[str, Object] = {}  # what a POST made, by uid: its manager owns that for ever
        self._version = 0
        self._raised_at: dict[str, float] = {}
        self._stopping = threading.Event()

    def run_controllers(self) -> None:
        """Begin to make Deployments ready and to scale as KEDA does."""
        threading.Thread(target=self._control, daemon=True).start()

    def close(self) -> None:
        """End for good."""
        self._stopping.set()
        self.stop()
        if self._keda is not None:
            self._keda.close()

    def of(self, plural: str) -> list[Object]:
        """Every object of a kind."""
        with self._lock:
            return [one for (kind, _), one in self.objects.items() if kind == plural]

    def change(self, plural: str, name: str, patch: Object) -> None:
        """A merge patch by somebody else; null removes."""
        with self._lock:
            _merge(self.objects[plural, name], patch)

    def remove(self, plural: str, name: str) -> None:
        """A deletion by somebody else."""
        with self._lock:
            self._collect(plural, name)

    def cool_down(self, seconds: float) -> None:
        """From now on play KEDA, with this cooldown."""
        assert self._keda is not None
        self.keda, self._keda.cooldown_s = True, seconds

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Object]:
        """One request."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        match = _PATH.match(parts.path)
        if match is None or _GROUPS.get(match["plural"], "?") != match["group"]:
            return 404, status_of(404, "the server could not find the requested resource")
        what = match["plural"] + (f"/{match['sub']}" if match["sub"] else "")
        verb = "list" if method == "GET" and not match["name"] else _VERBS[method]
        with self._lock:
            self.requests.append((verb, what))
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, status_of(401, "Unauthorized")
            if planned := self.fault(verb, what):
                return planned[0], status_of(*planned)
            if verb not in RIGHTS.get(what, set()):
                return 403, status_of(403, f"{what} is forbidden: cannot {verb}")
            try:
                return self._act(verb, what, match["plural"], match["name"] or "", query, headers, body)
            except Refused as error:
                return error.status, status_of(error.status, str(error))

    def _act(self, verb: str, what: str, plural: str, name: str, query: dict[str, str], headers: dict[str, str],
             body: bytes) -> tuple[int, Object]:  # fmt: skip
        if verb == "list":
            items = self._selected(plural, query.get("labelSelector", ""))
            return 200, {"kind": "List", "metadata": {}, "items": items}
        if verb in ("create", "patch") and query.get("fieldValidation") != "Strict":
            raise Refused(400, "this stand-in takes strictly validated writes alone")
        if verb == "create":
            return 201, self._create(plural, json.loads(body), query)
        if (plural, name) not in self.objects and not (verb == "patch" and what == plural):
            raise Refused(404, f'{plural} "{name}" not found')
        if verb == "get":
            return 200, self.objects[plural, name]
        if verb == "delete":
            self._delete(plural, name, query, body)
            return 200, status_of(200, "deleted")
        if what == "deployments/scale":
            return 200, self._scale(name, json.loads(body), headers)
        return 200, self._apply(plural, name, yaml.safe_load(body), query, headers)

    def _selected(self, plural: str, selector: str) -> list[Object]:
        found = self.of(plural)
        for term in re.findall(r"([^,\s(]+)\s*(?:=\s*([^,]+)|in\s*\(([^)]*)\))", selector):
            wanted = {term[1]} if term[1] else {value.strip() for value in term[2].split(",")}
            found = [one for one in found if one["metadata"].get("labels", {}).get(term[0]) in wanted]
        return [{name: value for name, value in one.items() if name not in ("apiVersion", "kind")} for one in found]

    def _create(self, plural: str, manifest: Object, query: dict[str, str]) -> Object:
        kube_objects.check(manifest)
        name = manifest["metadata"]["name"]
        if (plural, name) in self.objects:
            raise Refused(409, f'{plural} "{name}" already exists')
        stored = self._store(plural, manifest, manager=query.get("fieldManager", ""))
        self._created[stored["metadata"]["uid"]] = manifest
        return stored

    def _apply(
        self, plural: str, name: str, manifest: Object, query: dict[str, str], headers: dict[str, str]
    ) -> Object:
        if headers.get("content-type") != _APPLY or not query.get("fieldManager"):
            raise Refused(415, "objects are changed by server-side apply alone")
        kube_objects.check_applied(manifest)
        if manifest["metadata"]["name"] != name:
            raise Refused(400, "the name differs from the path")
        before = self.objects.get((plural, name))
        if before is None:
            if plural == "deployments" and "replicas" not in manifest["spec"]:
                manifest["spec"]["replicas"] = 1  # the server's default: an apply alone would start a pod
            return self._store(plural, manifest, manager=query["fieldManager"])
        if plural == "deployments" and "replicas" in manifest["spec"] and query.get("force") != "true":
            raise Refused(409, "conflict with baton-init over spec.replicas")
        if plural == "deployments":
            manifest = kube_apply.with_what_others_own(manifest, self._created[before["metadata"]["uid"]])
            manifest["spec"]["replicas"] = before["spec"]["replicas"]
            kube_objects.check(manifest)
        kept = {name: before["metadata"][name] for name in ("uid", "creationTimestamp")}
        self._version += 1
        after = {**manifest, "status": before.get("status", {})}
        after["metadata"] = {**manifest["metadata"], **kept, "resourceVersion": str(self._version)}
        self.objects[plural, name] = after
        return after

    def _store(self, plural: str, manifest: Object, *, manager: str) -> Object:
        self._version += 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ours = {"uid": str(uuid.uuid4()), "creationTimestamp": stamp, "resourceVersion": str(self._version)}
        ours["managedFields"] = [{"manager": manager}]  # type: ignore[assignment]
        stored = {**manifest, "metadata": {**manifest["metadata"], **ours}, "status": {}}
        self.objects[plural, manifest["metadata"]["name"]] = stored
        return stored

    def _scale(self, name: str, patch: Object, headers: dict[str, str]) -> Object:
        if headers.get("content-type") != _MERGE or set(patch) != {"spec"} or set(patch["spec"]) != {"replicas"}:
            raise Refused(422, "only spec.replicas of a scale is patched")
        self.set_replicas(name, patch["spec"]["replicas"])
        spec = {"replicas": patch["spec"]["replicas"]} if patch["spec"]["replicas"] else {}  # omitted at 0, as it is
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": name}, "spec": spec}

    def set_replicas(self, name: str, replicas: int) -> None:
        """Scale, as the subresource, KEDA and a person with kubectl do."""
        with self._lock:
            deployment = self.objects["deployments", name]
            if replicas != deployment["spec"].get("replicas"):
                self.scaled.append((name, replicas))
                self._raised_at[name] = time.monotonic()
            deployment["spec"]["replicas"] = replicas
            if not replicas:
                deployment["status"] = {}

    def _delete(self, plural: str, name: str, query: dict[str, str], body: bytes) -> None:
        policy = query.get("propagationPolicy") or (json.loads(body).get("propagationPolicy") if body else None)
        if policy != "Background":
            raise Refused(400, "propagationPolicy=Background is expected")
        self._collect(plural, name)

    def _collect(self, plural: str, name: str) -> None:
        """Delete, and what it owns with it."""
        uid = self.objects.pop((plural, name))["metadata"]["uid"]
        for key, one in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences", [])):
                del self.objects[key]

    def _control(self) -> None:
        while not self._stopping.wait(POLL_S):
            with self._lock:
                for (plural, name), one in list(self.objects.items()):
                    if plural == "deployments":
                        self._make_ready(name, one)
                    elif plural == "scaledobjects" and self.keda:
                        self._poll(one)

    def _make_ready(self, name: str, deployment: Object) -> None:
        age = time.monotonic() - self._raised_at.get(name, 0.0)
        if deployment["spec"].get("replicas") and age >= self._ready_after_s:
            deployment["status"] = {"replicas": 1, "readyReplicas": 1}

    def _poll(self, scaled: Object) -> None:
        assert self._keda is not None
        name = scaled["spec"]["scaleTargetRef"]["name"]
        replicas = self.objects["deployments", name]["spec"].get("replicas", 1)
        self.set_replicas(name, self._keda.wanted(scaled, replicas))


def _merge(target: Object, patch: Object) -> None:
    for name, value in patch.items():
        if isinstance(value, dict):
            _merge(target.setdefault(name, {}), value)
        elif value is None:
            target.pop(name, None)
        else:
            target[name] = value
