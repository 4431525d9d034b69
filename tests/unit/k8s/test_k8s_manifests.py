"""What `kubectl apply -k k8s/` applies: taken by Kubernetes and KubeRay, and as safe as docs/kubernetes.md says."""

import copy
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from facepipe.cli import steps
from tests.kubernetes_schemas import Manifest, pod_templates, problems
from tests.program import job

ROOT = Path(__file__).parents[3]
K8S = ROOT / "k8s"
MOST_LETTERS = {"RayCluster": 53, "RayJob": 47, "RayCronJob": 36}
JOB_SUFFIX = len("-29384756")  # minutes since 1970, which a CronJob appends to the names of its Jobs


def load(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((K8S / name).read_text(encoding="utf-8")))


FILES = {name: load(name) for name in ("rayjob.yaml", "raycronjob.yaml", "cronjob.yaml", "rbac.yaml")}
OBJECTS = [pytest.param(item, id=f"{name}-{item['kind']}") for name, items in FILES.items() for item in items]
PODS = [
    pytest.param(template["spec"], id=f"{name}-{template['spec']['containers'][0]['name']}")
    for name, items in FILES.items()
    for template in pod_templates(items)
]
RAYJOB, RAYCRONJOB, CRONJOB = (FILES[name][0] for name in ("rayjob.yaml", "raycronjob.yaml", "cronjob.yaml"))


@pytest.fixture(scope="session")
def crds(data: Path) -> Path:
    folder = data / "kuberay"
    if not folder.is_dir():
        pytest.skip("FACEPIPE_DATA holds no kuberay/")
    return folder


@pytest.mark.parametrize("manifest", OBJECTS)
def test_is_taken_by_the_schemas(manifest: Manifest, crds: Path) -> None:
    assert problems(manifest, crds) == []


def put(*path: str | int, value: Any) -> Manifest:
    """Return the RayJob with one value changed or added."""
    changed: Any = copy.deepcopy(RAYJOB)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    result: Manifest = changed
    return result


HEAD = ("spec", "rayClusterSpec", "headGroupSpec")


@pytest.mark.parametrize(
    "wrong",
    [
        put("spec", "entryPoint", value="python x.py"),
        put("spec", "backoffLimit", value="0"),
        put("spec", "submitterPodTemplate", "spec", "containers", 0, "imagePullPolice", value="Always"),
        put("spec", "rayClusterSpec", "authOptions", "mode", value="tokens"),
        put(*HEAD, "template", "spec", "securityContext", "runAsNonroot", value=True),
        put(*HEAD, "template", "spec", "containers", 0, "resources", "limits", value={"cpu": "four"}),
        put("spec", "deletionStrategy", "deletionRules", 0, "condition", "ttlSeconds", value=-1),
        put("metadata", "lables", value={}),
        put("apiVersion", value="ray.io/v1alpha2"),
    ],
)
def test_a_misspelt_or_wrong_field_is_noticed(wrong: Manifest, crds: Path) -> None:
    assert problems(wrong, crds)


def test_kubectl_renders_all_but_the_raycronjob(crds: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(K8S)], capture_output=True, text=True, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    kinds = ["ConfigMap", "CronJob", "RayJob", "Role", "RoleBinding", "ServiceAccount"]
    assert sorted(item["kind"] for item in rendered) == kinds
    assert [problem for item in rendered for problem in problems(item, crds)] == []
    by_kind = {item["kind"]: item for item in rendered}
    assert by_kind["RayJob"] == RAYJOB
    (template,) = pod_templates(by_kind["CronJob"])
    assert template["spec"]["volumes"][0]["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
    files = by_kind["ConfigMap"]["data"]
    assert yaml.safe_load(files["rayjob.yaml"]) == RAYJOB
    command = template["spec"]["containers"][0]["command"]
    assert {Path(part).name for part in command if part.startswith("/nightly/")} == set(files)


@pytest.mark.parametrize("pod", PODS)
def test_pods_keep_to_the_restricted_standard(pod: Manifest) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPath" in volume for volume in pod.get("volumes", []))
    for container in pod["containers"] + pod.get("initContainers", []):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context


@pytest.mark.parametrize("pod", PODS)
def test_containers_have_limits_a_fixed_image_and_no_secrets(pod: Manifest) -> None:
    for container in pod["containers"]:
        for key in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][key])
        version = re.fullmatch(r"facepipe:(\d+\.\d+\.\d+)-gpu", container["image"])
        assert version is not None
        assert version[1] == re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]  # type: ignore[index]
        for variable in container.get("env", []):
            assert not re.search("(?i)token|password|secret|key", variable["name"]) or "value" not in variable
        named = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= named


def test_only_the_creator_reaches_the_api_server() -> None:
    for template in pod_templates([RAYJOB, RAYCRONJOB]):
        assert template["spec"]["automountServiceAccountToken"] is False
    account, role, binding = FILES["rbac.yaml"]
    (template,) = pod_templates(CRONJOB)
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert role["rules"] == [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get", "list"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [account["metadata"]["name"]]


def test_ray_asks_for_a_token_and_is_of_the_pinned_version() -> None:
    cluster = RAYJOB["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_workers_have_gpus_and_eight_to_sixteen_cpus_for_each() -> None:
    (group,) = RAYJOB["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] > 0  # GPU pools don't grow
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert 8 <= int(limits["cpu"]) / int(limits["nvidia.com/gpu"]) <= 16


def test_deletion_rules_end_every_cluster() -> None:
    spec = RAYJOB["spec"]
    assert not {"shutdownAfterJobFinishes", "ttlSecondsAfterFinished"} & set(spec)
    ends: dict[tuple[str, str], dict[str, int]] = {}
    for rule in spec["deletionStrategy"]["deletionRules"]:
        condition = dict(rule["condition"])
        seconds = condition.pop("ttlSeconds")
        ((field, value),) = condition.items()  # exactly one, which a CEL rule of the CRD demands
        ends.setdefault((field, value), {})[rule["policy"]] = seconds
    failed = [("jobDeploymentStatus", "Failed"), ("jobStatus", "FAILED")]
    assert sorted(ends) == [*failed, ("jobStatus", "SUCCEEDED")]
    for rules in ends.values():  # each policy deletes more than the one before
        order = [rules[policy] for policy in ("DeleteWorkers", "DeleteCluster", "DeleteSelf") if policy in rules]
        assert order == sorted(order)
        assert "DeleteSelf" in rules
    # The creator looks every half minute: it must still find a RayJob that has ended.
    assert all(rules["DeleteSelf"] >= 3600 for rules in ends.values())


def test_the_entrypoint_is_a_call_that_the_job_takes() -> None:
    entrypoint = RAYJOB["spec"]["entrypoint"]
    assert not re.search(r"[;&|<>$`\"'\\*?(){}\n]", entrypoint)  # it passes through a shell
    python, script, *arguments = shlex.split(entrypoint)
    assert python == "python"
    assert "--max-failed" in job(Path(script).stem, "--help").out
    context = steps.run.make_context("run", arguments)
    assert context.params["max_failed"].percent
    assert context.params["max_failed"].number == 1
    assert context.params["address"] == "auto"
    spec = RAYJOB["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounted = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert set(context.params["sources"]) <= set(mounted)
    assert str(Path(context.params["library"]).parent) in mounted  # not the root of a volume, which may hold lost+found


def test_retries_cannot_hide_a_failure() -> None:
    # A second attempt after exit status 3 would find nothing pending and end with 0.
    assert RAYJOB["spec"]["backoffLimit"] == 0


def test_nights_do_not_overlap() -> None:
    spec = CRONJOB["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["schedule"] == "0 2 * * *" == RAYCRONJOB["spec"]["schedule"]
    creator = spec["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert RAYJOB["spec"]["activeDeadlineSeconds"] < creator < 24 * 3600


def test_the_raycronjob_runs_the_same_job() -> None:
    assert RAYCRONJOB["spec"]["jobTemplate"] == RAYJOB["spec"]


def test_names_leave_room_for_what_is_appended() -> None:
    for manifest in (RAYJOB, RAYCRONJOB):
        assert len(manifest["metadata"]["name"]) <= MOST_LETTERS[manifest["kind"]]
    assert len(CRONJOB["metadata"]["name"]) + JOB_SUFFIX <= MOST_LETTERS["RayJob"]
