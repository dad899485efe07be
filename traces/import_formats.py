"""Line formats that `import_decisions` reads, each mapped to the contract without loss. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

Mapper = Callable[[Mapping[str, Any]], dict[str, Any]]


class FormatError(ValueError):
    """A line that is of no known format."""


def affidavit(line: Mapping[str, Any]) -> dict[str, Any]:
    """A decision as the API takes it."""
    return dict(line)


def stream(line: Mapping[str, Any]) -> dict[str, Any]:
    """A flat log line: `deployment`, `timestamp`, `model`, `input_messages`, `output`, tokens.

    What the contract has no member for goes to `metadata` under its own name, so nothing is lost.
    """
    rest = dict(line)
    features = rest.pop("input_features", None)
    messages = rest.pop("input_messages", None)
    prompt = rest.pop("prompt_version", None)
    output, score = rest.pop("output", None), rest.pop("score", None)
    triggers = rest.pop("policy_triggers", None) or []
    version = rest.pop("policy_version", None)
    model = {"name": rest.pop("model", "")} | ({"prompt": {"version": prompt}} if prompt else {})
    usage = {name: rest.pop(name) for name in ("input_tokens", "output_tokens") if rest.get(name) is not None}
    mapped: dict[str, Any] = {
        "external_id": rest.pop("id", None),
        "occurred_at": rest.pop("timestamp"),
        "system": rest.pop("deployment"),
        "environment": rest.pop("environment", "production"),
        "task": rest.pop("task", None),
        "user": rest.pop("user", None),
        "session": rest.pop("session", None),
        "model": model,
        "input": features if features is not None else messages or [],
        "output": output,
        "usage": usage,
        "latency_ms": rest.pop("latency_ms", None),
        "enforcement": [
            {"guard": "policy", "guard_version": version, "rule": str(rule), "verdict": "triggered"}
            for rule in triggers
        ],
    }
    if score is not None:
        mapped["outcome"] = {"decision": output, "score": score}
    extra = {name: value for name, value in rest.items() if value is not None} | (
        {"policy_version": version} if version else {}
    )
    return {name: value for name, value in (mapped | {"metadata": extra}).items() if value not in (None, {})}


FORMATS: dict[str, Mapper] = {"affidavit": affidavit, "stream": stream}


def recognised(line: Mapping[str, Any]) -> str:
    """The format of a line by its members; raises `FormatError`."""
    if "system" in line and ("input" in line or "output" in line):
        return "affidavit"
    if {"deployment", "timestamp"} <= line.keys():
        return "stream"
    raise FormatError("Neither a decision (system, input or output) nor a flat log line (deployment, timestamp).")


def mapper(name: str, first_line: Mapping[str, Any]) -> Mapper:
    """The mapper for `name`, which may be `auto`."""
    return FORMATS[recognised(first_line) if name == "auto" else name]
