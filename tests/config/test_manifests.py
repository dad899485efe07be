"""compose.yaml and the manifests of docs/kubernetes run the same processes, each with as little as it needs."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from config.supervisor import ROOT

FOLDER = ROOT / "docs" / "kubernetes"
OURS = ("migrate", "web", "worker", "embedder", "beat", "sequencer", "signer")
FROM_MAP = {  # what the generated maps give, in place of compose's environment
    "affidavit": {
        "AFFIDAVIT_INSTANCE", "AFFIDAVIT_ALLOWED_HOSTS", "AFFIDAVIT_HTTPS", "AFFIDAVIT_BEHIND_PROXY",
        "AFFIDAVIT_TRUSTED_ORIGINS", "OMP_NUM_THREADS",
    },
    "affidavit-queue": {"REDIS_URL"},
}  # fmt: skip
UNSET = ":-}"  # how compose writes what is empty unless the operator sets it: here that goes into a map


@cache
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def documents() -> Iterator[dict[str, Any]]:
    for name in yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]:
        yield from yaml.safe_load_all((FOLDER / name).read_text())


@cache
def pods() -> dict[str, dict[str, Any]]:
    """The pod of each process."""
    kinds = ("Deployment", "StatefulSet", "Job")
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in documents() if one["kind"] in kinds}


def secrets_in(pod: dict[str, Any]) -> set[str]:
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    sources = volume["projected"]["sources"] if "projected" in volume else [volume]
    return {item["key"] for source in sources for item in source["secret"]["items"]}


def test_the_processes_are_the_same() -> None:
    assert set(pods()) == set(OURS)
    assert set(compose()["services"]) == {*OURS, "postgres", "valkey"}


@pytest.mark.parametrize("name", OURS)
def test_each_process_runs_the_same_with_the_same_secrets(name: str) -> None:
    service, pod = compose()["services"][name], pods()[name]
    (container,) = pod["containers"]
    assert container.get("args") == service.get("command")
    assert secrets_in(pod) == set(service["secrets"])
    given = {entry["name"]: str(entry["value"]) for entry in container["env"]}
    maps = {entry["configMapRef"]["name"] for entry in container["envFrom"]}
    mapped = set().union(*(FROM_MAP[one] for one in maps))
    told = {key: str(value) for key, value in service["environment"].items() if key not in mapped}
    wanted = {key: value for key, value in told.items() if not value.endswith(UNSET)}
    assert given == wanted
    assert ("affidavit-queue" in maps) == ("REDIS_URL" in service["environment"])


def test_the_maps_give_what_they_should() -> None:
    generated = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"]
    made = {one["name"]: {literal.partition("=")[0] for literal in one["literals"]} for one in generated}
    assert made == FROM_MAP


@pytest.mark.parametrize("name", OURS)
def test_no_process_may_more_than_run(name: str) -> None:
    service, pod = compose()["services"][name], pods()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["pids_limit"] <= 512
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in pod["containers"][0]["resources"]["limits"]


def test_the_key_that_signs_is_the_signers_alone_and_the_administrator_is_migrations() -> None:
    holders = {
        secret: [name for name in OURS if secret in secrets_in(pods()[name])]
        for secret in ("checkpoint_key", "database_url", "report_key")
    }
    assert holders == {"checkpoint_key": ["signer"], "database_url": ["migrate"], "report_key": ["worker"]}
    assert "checkpoint_key" not in str(compose()["services"]["web"])


def test_only_the_web_is_reached() -> None:
    entries = [one for one in documents() if one["kind"] == "NetworkPolicy" and "Ingress" in one["spec"]["policyTypes"]]
    opened = [one["spec"]["podSelector"]["matchLabels"] for one in entries if one["spec"].get("ingress")]
    assert opened == [{"app.kubernetes.io/component": "web"}]
    assert any(one["spec"]["podSelector"] == {} and "ingress" not in one["spec"] for one in entries)
    published = [name for name, service in compose()["services"].items() if service.get("ports")]
    assert published == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in compose()["services"]["web"]["ports"])
