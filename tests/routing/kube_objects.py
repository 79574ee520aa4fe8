"""What the stand-in of Kubernetes refuses: unknown fields, bad labels, wrong types, as a real API server does. Pure."""

import re
from functools import cache
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils

# Otherwise each object costs the reading of a file of half a megabyte.
utils.schema_contents = cache(utils.schema_contents)

VERSION = "1.29"
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?\Z")
_LABEL_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

# The members of POD-56; KEDA's own schema has more, our objects must not.
_COUNTS = {"pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount"}
_SCALED_OBJECT = {"scaleTargetRef", "triggers", *_COUNTS}
_TARGET = {"apiVersion", "kind", "name"}
_TRIGGER = {"type", "metadata", "authenticationRef"}
_TRIGGER_METADATA = {"address", "listName", "listLength", "activationListLength", "databaseIndex"}


class Refused(Exception):
    """A status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check(manifest: dict[str, Any]) -> None:
    """Raises Refused with 400 for an unknown field and 422 for a value that means nothing."""
    _check_metadata(manifest.get("metadata", {}))
    for labels in _labels(manifest):
        _check_labels(labels)
    if manifest["kind"] == "ScaledObject":
        scaled_object(manifest)
        return
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise Refused(400 if "Additional properties" in error.message else 422, error.message) from error
    if manifest["kind"] == "Deployment":
        spec = manifest["spec"]
        if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
            raise Refused(422, "selector does not match the template's labels")
        for container in spec["template"]["spec"]["containers"]:
            names = [port["name"] for port in container.get("ports", [])]
            if len(names) != len(set(names)):
                raise Refused(422, "two ports of a container have one name")


def check_applied(manifest: dict[str, Any]) -> None:
    """As check, but an apply that does not fit the schema is a 500, in every version of the API."""
    try:
        check(manifest)
    except Refused as error:
        if error.status != 400:
            raise
        raise Refused(500, f"failed to create typed patch object: {error}") from error


def _check_metadata(metadata: dict[str, Any]) -> None:
    if not _NAME.match(metadata.get("name", "")):
        raise Refused(422, "metadata.name is no DNS label")
    for reference in metadata.get("ownerReferences", []):
        if not all(reference.get(name) for name in ("apiVersion", "kind", "name", "uid")):
            raise Refused(422, "an ownerReference is incomplete")


def _check_labels(labels: dict[str, Any]) -> None:
    for name, value in labels.items():
        if not _LABEL_NAME.match(name) or not isinstance(value, str) or not _LABEL_VALUE.match(value):
            raise Refused(422, f"label {name}={value!r} is invalid")


def scaled_object(manifest: dict[str, Any]) -> None:
    """The hand-written check of a ScaledObject (POD-74). Raises Refused."""
    _only(manifest, {"apiVersion", "kind", "metadata", "spec"})
    spec = manifest["spec"]
    _only(spec, _SCALED_OBJECT)
    _only(spec["scaleTargetRef"], _TARGET)
    if not 0 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]:
        raise Refused(422, "minReplicaCount is above maxReplicaCount")
    for trigger in spec["triggers"]:
        _only(trigger, _TRIGGER)
        _only(trigger["metadata"], _TRIGGER_METADATA)
        if not all(isinstance(value, str) for value in trigger["metadata"].values()):
            raise Refused(422, "trigger metadata holds strings")
        _only(trigger.get("authenticationRef", {}), {"name"})


def trigger_authentication(manifest: dict[str, Any]) -> None:
    """The hand-written check of a TriggerAuthentication (POD-74). Raises Refused."""
    _only(manifest, {"apiVersion", "kind", "metadata", "spec"})
    _only(manifest["spec"], {"secretTargetRef"})
    for reference in manifest["spec"]["secretTargetRef"]:
        _only(reference, {"parameter", "name", "key"})


def _only(found: dict[str, Any], known: set[str]) -> None:
    if unknown := set(found) - known:
        raise Refused(400, f"strict decoding error: unknown field {sorted(unknown)}")


def _labels(value: Any) -> list[dict[str, Any]]:
    """Every `labels`, wherever it stands."""
    if isinstance(value, list):
        return [found for one in value for found in _labels(one)]
    if not isinstance(value, dict):
        return []
    own = [value["labels"]] if isinstance(value.get("labels"), dict) else []
    return own + [found for one in value.values() for found in _labels(one)]
