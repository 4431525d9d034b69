"""Whether Kubernetes and KubeRay would take a manifest, found out without a cluster.

Objects of Kubernetes itself are checked against its published schemas, strictly: unknown fields are errors. Objects of
KubeRay are checked against the openAPIV3Schema of its CRDs with the same strictness, and every pod template inside
them as a Pod. CEL rules (`x-kubernetes-validations`) are not evaluated.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.32.0"
CRDS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayCronJob": "raycronjobs"}

Manifest = dict[str, Any]


def problems(manifest: Manifest, crds: Path) -> list[str]:
    """Return what is wrong with a manifest; empty where it is taken.

    Args:
        manifest: one object.
        crds: folder with `ray.io_rayjobs.yaml` and the like.
    """
    kind = str(manifest["kind"])
    if kind not in CRDS:
        return kubernetes_problems(manifest)
    found = [f"{error.json_path}: {error.message}" for error in validator(crds, kind).iter_errors(manifest)]
    # The API server checks an object's own metadata, which a CRD leaves open.
    found += kubernetes_problems({"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]})
    for template in pod_templates(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        found += kubernetes_problems({**pod, "metadata": {"name": "pod", **template.get("metadata", {})}})
    return found


def kubernetes_problems(manifest: Manifest) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{manifest['kind']} {'.'.join(map(str, error.path))}: {error.message}"]
    return []


@cache
def validator(crds: Path, kind: str) -> jsonschema.Draft202012Validator:
    """Return the strict validator of a CRD's v1 objects."""
    crd = yaml.load((crds / f"ray.io_{CRDS[kind]}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    (version,) = (version for version in crd["spec"]["versions"] if version["name"] == "v1")
    schema = version["schema"]["openAPIV3Schema"]
    named = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": kind}, "metadata": {"type": "object"}}
    properties = {name: strict(value) for name, value in schema["properties"].items()} | named
    required = ["apiVersion", "kind", "metadata", "spec"]
    return jsonschema.Draft202012Validator(
        {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    )


def strict(schema: Any) -> Any:
    """Return a structural schema of which objects hold no other fields than those named, unless it says otherwise."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {
        key: {name: strict(value) for name, value in inner.items()} if key == "properties" else strict(inner)
        for key, inner in schema.items()
    }
    if schema.get("x-kubernetes-int-or-string"):
        changed.pop("type", None)
        changed.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if schema.get("nullable"):
        changed["type"] = [changed["type"], "null"]
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        changed["additionalProperties"] = False
    return changed


def pod_templates(value: Any) -> Iterator[Manifest]:
    """Yield every pod template in a manifest: whatever has a `spec` with containers."""
    if isinstance(value, dict):
        spec = value.get("spec")
        if isinstance(spec, dict) and "containers" in spec:
            yield {key: inner for key, inner in value.items() if key in ("metadata", "spec")}
        for inner in value.values():
            yield from pod_templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pod_templates(inner)
