"""deploy/k8s against POD-73 and POD-74."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.conf import settings

from config import checks
from config.knobs import SCHEMA
from tests.deploy import kustomized
from tests.deploy.kustomized import Object, containers
from tests.routing import kube_objects
from tests.routing.kube import RIGHTS

K8S = Path(settings.BASE_DIR, "deploy/k8s")
BASE, PRODUCTION = K8S / "base", K8S / "overlays/production"
OLDEST, NEWEST = "1.29", "1.37"


@pytest.fixture(scope="module", params=[BASE, PRODUCTION], ids=["base", "production"])
def objects(request: Any) -> list[Object]:
    return kustomized.build(request.param)


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def workloads(objects: list[Object]) -> Iterator[Object]:
    return (each for each in objects if each["kind"] in ("Deployment", "StatefulSet"))


def test_base_has_exactly_the_files_of_the_contract() -> None:
    """POD-73."""
    assert {path.name for path in BASE.iterdir()} == {
        "kustomization.yaml", "session-manager.yaml", "rbac.yaml", "redis-secret.yaml", "redis.yaml", "keda.yaml",
        "storage.yaml", "network-policy.yaml",
    }  # fmt: skip
    for path in PRODUCTION.iterdir():
        assert all(each["kind"] != "Secret" for each in yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("directory", [BASE, PRODUCTION])
def test_plain_merge_is_what_kustomize_makes(directory: Path) -> None:
    """POD-74: with kustomize and without; the order of objects, and of items that have names, means nothing."""

    def in_order(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: in_order(member) for name, member in value.items()}
        if not isinstance(value, list):
            return value
        return sorted(map(in_order, value), key=lambda item: isinstance(item, dict) and str(item.get("name", "")))

    def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
        return {(each["kind"], each["metadata"]["name"]): in_order(each) for each in objects}

    assert by_name(kustomized.plainly(directory)) == by_name(kustomized.build(directory))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_objects_pass_the_servers_schema(objects: list[Object], version: str) -> None:
    """POD-74."""
    for each in objects:
        if each["kind"] == "TriggerAuthentication":
            kube_objects.trigger_authentication(each)
        else:
            assert kubernetes_validate.validate(each, version, strict=True) == version


def test_whatever_is_referred_to_exists(objects: list[Object]) -> None:
    """POD-74: secrets with their keys, claims, accounts, port names, the target of KEDA's authentication."""
    secrets = {each["metadata"]["name"]: each["stringData"].keys() for each in objects if each["kind"] == "Secret"}
    for name, key in _secret_references(objects):
        assert key in secrets[name]
    for each in workloads(objects):
        pod = each["spec"]["template"]["spec"]
        for volume in pod.get("volumes", []):
            if claim := volume.get("persistentVolumeClaim"):
                one(objects, "PersistentVolumeClaim", claim["claimName"])
        if account := pod.get("serviceAccountName"):
            one(objects, "ServiceAccount", account)
        mounts = {mount["name"] for container in containers(each) for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])}
        assert mounts <= {volume["name"] for volume in pod.get("volumes", [])} | claims
        _check_ports(objects, each)


def _check_ports(objects: list[Object], workload: Object) -> None:
    named = {port["name"] for container in containers(workload) for port in container.get("ports", [])}
    probed = {
        container[probe]["httpGet"]["port"]
        for container in containers(workload)
        for probe in ("livenessProbe", "readinessProbe")
        if "httpGet" in container.get(probe, {})
    }
    service = one(objects, "Service", workload["metadata"]["name"])
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert probed | {port["targetPort"] for port in service["spec"]["ports"]} <= named


def _secret_references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _secret_references(each)
    elif isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        for name, each in value.items():
            if name == "secretTargetRef":
                yield from ((target["name"], target["key"]) for target in each)
            yield from _secret_references(each)


def test_manager_is_as_the_table_says(objects: list[Object]) -> None:
    """POD-73."""
    spec = one(objects, "Deployment", "session-manager")["spec"]
    pod = spec["template"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["selector"]["matchLabels"] == {"app": "session-manager"}
    assert pod["serviceAccountName"] == "session-manager"
    (preference,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preference["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    manager, worker = pod["containers"]
    assert manager["image"] == worker["image"]
    assert (manager["name"], worker["name"], worker["command"][-1]) == ("session-manager", "worker", "run_pods")
    assert manager["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    for container in (manager, worker):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/data", "/logs"}
        assert {each["name"] for each in container["env"]} <= SCHEMA.keys()


def test_manager_is_probed_as_the_table_says(objects: list[Object]) -> None:
    """POD-73: under a host that ALLOWED_HOSTS has."""
    manager = one(objects, "Deployment", "session-manager")["spec"]["template"]["spec"]["containers"][0]
    liveness, readiness = manager["livenessProbe"], manager["readinessProbe"]
    assert (liveness["httpGet"]["path"], liveness["initialDelaySeconds"], liveness["periodSeconds"]) == (
        "/livez",
        30,
        10,
    )
    assert (readiness["httpGet"]["path"], readiness["initialDelaySeconds"], readiness["periodSeconds"]) == (
        "/readyz", 10, 5,
    )  # fmt: skip
    (hosts,) = [each["value"].split(",") for each in manager["env"] if each["name"] == "ALLOWED_HOSTS"]
    for probe in (liveness, readiness):
        assert probe["httpGet"]["httpHeaders"][0]["value"] in hosts


def test_base_asks_for_what_the_table_says() -> None:
    """POD-73: the overlay may raise the limits."""
    spec = one(kustomized.build(BASE), "Deployment", "session-manager")["spec"]
    assert spec["replicas"] == 2
    for container in spec["template"]["spec"]["containers"]:
        each = {"cpu": "250m", "memory": "256Mi"}
        assert container["resources"] == {"requests": each, "limits": each}


def test_role_is_the_contracts(objects: list[Object]) -> None:
    """POD-67: no ClusterRole."""
    rules = one(objects, "Role", "session-manager")["rules"]
    assert {rule["resources"][0]: set(rule["verbs"]) for rule in rules} == RIGHTS
    groups = {rule["resources"][0]: rule["apiGroups"] for rule in rules}
    assert groups == {
        "deployments": ["apps"], "deployments/scale": ["apps"], "services": [""], "scaledobjects": ["keda.sh"],
    }  # fmt: skip
    assert all(each["kind"] != "ClusterRole" for each in objects)


def test_redis_is_as_the_table_says(objects: list[Object]) -> None:
    """POD-73: it keeps its data, asks for the password, and its probe counts PONG alone."""
    spec = one(objects, "StatefulSet", "redis")["spec"]
    (redis,) = spec["template"]["spec"]["containers"]
    assert spec["volumeClaimTemplates"]
    assert redis["args"][:4] == ["--requirepass", "$(REDIS_PASSWORD)", "--appendonly", "yes"]
    assert "PONG" in redis["readinessProbe"]["exec"]["command"][-1]
    assert "REDISCLI_AUTH" in {each["name"] for each in redis["env"]}


def test_networks_are_closed(objects: list[Object]) -> None:
    """POD-73."""
    user_pods = one(objects, "NetworkPolicy", "user-pods")["spec"]
    assert user_pods["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "user-pod"}
    assert user_pods["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {"app": "session-manager"}}}],
            "ports": [{"protocol": "TCP", "port": 1111}],
        }
    ]
    (redis,) = one(objects, "NetworkPolicy", "redis")["spec"]["ingress"]
    assert redis["from"] == [
        {"podSelector": {"matchLabels": {"app": "session-manager"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}},
    ]


def test_placeholders_are_refused(settings: Any) -> None:
    """POD-73, baton.E004: the committed password starts no server outside DEBUG."""
    password = one(kustomized.build(BASE), "Secret", "redis-credentials")["stringData"]["password"]
    settings.DEBUG, settings.REDIS_URL = False, f"redis://:{password}@redis:6379/0"
    assert "baton.E004" in {found.id for found in checks.refuse_unsafe_settings(None)}
    settings.DEBUG = True
    assert "baton.E004" not in {found.id for found in checks.refuse_unsafe_settings(None)}
    committed = one(kustomized.build(BASE), "Secret", "baton-secrets")["stringData"]
    assert all(len(committed[name]) < checks.SHORTEST_SECRET_BYTES for name in committed if name != "database-url")
