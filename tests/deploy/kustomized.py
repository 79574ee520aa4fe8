"""What `kustomize build` makes of a directory: by kustomize or kubectl where there is one, else by a plain merge."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


def build(directory: Path) -> list[Object]:
    """The objects of a base or an overlay."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            made = subprocess.run([*command, str(directory)], capture_output=True, text=True, check=True)
            return list(yaml.safe_load_all(made.stdout))
    return plainly(directory)


def plainly(directory: Path) -> list[Object]:
    """The part of kustomize that deploy/k8s uses."""
    wanted = yaml.safe_load((directory / "kustomization.yaml").read_text())
    found: list[Object] = []
    for name in wanted["resources"]:
        place = directory / name
        found += plainly(place) if place.is_dir() else list(yaml.safe_load_all(place.read_text()))
    for patch in wanted.get("patches", []):
        for change in yaml.safe_load_all((directory / patch["path"]).read_text()):
            (target,) = [one for one in found if _names(one) == _names(change)]
            _merge(target, change)
    for one in found:
        if "namespace" in wanted:
            one["metadata"]["namespace"] = wanted["namespace"]
        _count(one, wanted.get("replicas", []))
        for container in containers(one):
            _rename(container, wanted.get("images", []))
    return found


def containers(one: Object) -> list[Object]:
    """The containers of a workload; none of anything else."""
    return list(one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []))


def _names(one: Object) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


def _merge(target: Object, change: Object) -> None:
    """A strategic merge of lists whose items have names."""
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        elif isinstance(value, list) and value and "name" in value[0]:
            known = {one["name"]: one for one in target.setdefault(name, [])}
            for one in value:
                if one["name"] in known:
                    _merge(known[one["name"]], one)
                else:
                    target[name].append(one)
        else:
            target[name] = value


def _count(one: Object, counts: list[Object]) -> None:
    for count in counts:
        if one["kind"] in ("Deployment", "StatefulSet") and one["metadata"]["name"] == count["name"]:
            one["spec"]["replicas"] = count["count"]


def _rename(container: Object, images: list[Object]) -> None:
    for image in images:
        if container["image"].split(":")[0] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"
