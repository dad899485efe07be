"""Results of guardrails that ran in the application, read from the form their makers give them. Pure.

An `enforcement` item of a submission may carry `source` (one of `SOURCES`) and `raw`: the guardrail's own result, as
its library or service returned it. What the item does not say itself (`guard`, `rule`, `verdict`, `action`, `score`, …)
is then read out of `raw`, which is kept as it is. One item in, one item out: the strongest finding becomes the item's
own verdict and action, and all of them are listed under `findings`.

`verdict` is `triggered`, `not_triggered` or `error`; `action` one of `policies.engine.ACTIONS`. A guard that failed,
or whose result cannot be made sense of, is an `error`, whatever the item claims: `error_fail_closed` when the answer
was held back all the same, else `error_fail_open`. It is never `allow`.

Sources of the shapes:
NeMo Guardrails `rails/llm/options.py` (ActivatedRail, ExecutedAction) · Amazon Bedrock ApplyGuardrail response and the
guardrail traces of Converse and of agents · Guardrails AI `ValidationOutcome`, `ValidatorLogs` and on-fail actions ·
Llama Guard model cards (safe / unsafe and S-categories) · OPA `v1/plugins/logs` (EventV1).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.engine import DENIALS, STRENGTH

Raw = Mapping[str, Any]


class NotUnderstood(ValueError):
    """A `raw` that is not what the source gives."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What one of a guardrail's rules found."""

    rule: str
    action: str
    is_triggered: bool = True
    score: float | None = None
    threshold: float | None = None

    def document(self) -> dict[str, Any]:
        """As it is listed under `findings`."""
        members = {
            "rule": self.rule,
            "verdict": "triggered" if self.is_triggered else "not_triggered",
            "action": self.action,
            "score": self.score,
            "threshold": self.threshold,
        }
        return {name: value for name, value in members.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a `raw` says: about the guard (`members`), what it found, or why it failed (`error`)."""

    members: dict[str, Any]
    hits: list[Hit] = field(default_factory=list)
    error: str = ""
    is_held_back: bool = False


def read_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An enforcement item with what its `raw` says filled in. Raises `NotUnderstood` for a `source` nobody knows."""
    source = item.get("source")
    if not isinstance(source, str) or source not in SOURCES:
        raise NotUnderstood(f"unknown source; known are {', '.join(SOURCES)}")
    try:
        reading = SOURCES[source](_raw_of(item))
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        why = str(error) if isinstance(error, NotUnderstood) else "not the form of this source"
        reading = Reading({"guard": source}, error=f"not understood: {why}")
    if reading.error or item.get("verdict") == "error":
        return _as_error(item, reading)
    return _filled(reading.members | _strongest(reading.hits), item)


def _raw_of(item: Mapping[str, Any]) -> Raw:
    raw = item.get("raw")
    if isinstance(raw, str):
        return {"output": raw}
    if not isinstance(raw, Mapping):
        raise NotUnderstood("raw is missing")
    return raw


def _filled(read: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """What was read, overruled by what the item says."""
    return {name: value for name, value in read.items() if value not in (None, "", [])} | {
        name: value for name, value in item.items() if value is not None
    }


def _as_error(item: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    claimed = item.get("action")
    is_held_back = reading.is_held_back or claimed in DENIALS
    said = {"error": reading.error} if reading.error else {}
    filled = _filled(reading.members | said, item)
    return filled | {"verdict": "error", "action": "error_fail_closed" if is_held_back else "error_fail_open"}


def _strongest(hits: list[Hit]) -> dict[str, Any]:
    triggered = [hit for hit in hits if hit.is_triggered]
    nothing = hits[0] if len(hits) == 1 else Hit("", "allow", is_triggered=False)
    lead = max(triggered, key=lambda hit: STRENGTH.get(hit.action, 0), default=nothing)
    return lead.document() | {"findings": [hit.document() for hit in hits] if len(hits) > 1 else []}


_NEMO_STAGES = {
    "input": "input",
    "dialog": "input",
    "retrieval": "retrieval",
    "tool_input": "tool",
    "tool_output": "tool",
    "generation": "output",
    "output": "output",
}
_NEMO_REFUSALS = frozenset({"stop", "refuse to respond", "bot refuse to respond", "bot inform answer unknown"})


def read_nemo(raw: Raw) -> Reading:
    """An `ActivatedRail`. It stopped the turn (block) or let it pass; a rail that began and never ended has failed."""
    kind, name = raw["type"], raw["name"]
    decisions = {str(decision).lower() for decision in raw.get("decisions") or ()}
    is_stopped = bool(raw.get("stop"))
    members = {
        "guard": "nemo",
        "stage": _NEMO_STAGES.get(kind, ""),
        "rule": name,
        "latency_ms": _milliseconds(raw.get("duration"), 1e3),
    }
    if failure := _nemo_failure(raw):
        return Reading(members, error=failure, is_held_back=is_stopped)
    refuses = is_stopped or bool(decisions & _NEMO_REFUSALS)
    return Reading(members, [Hit(name, "block" if refuses else "allow", refuses)])


def _nemo_failure(raw: Raw) -> str:
    if raw.get("started_at") is not None and "finished_at" in raw and raw["finished_at"] is None:
        return "the rail did not finish"
    for source in (raw.get("additional_info") or {}, *(raw.get("executed_actions") or ())):
        if source.get("error") or source.get("exception") or source.get("status") == "failed":
            return f"failed: {source.get('action_name') or 'the rail'}"
    return ""


_BEDROCK_ACTIONS = {"BLOCKED": "block", "ANONYMIZED": "mask", "NONE": "log"}
_BEDROCK_LISTS = (
    ("topicPolicy", "topics", "topic", ("name",)),
    ("contentPolicy", "filters", "content", ("type",)),
    ("wordPolicy", "customWords", "word", ()),
    ("wordPolicy", "managedWordLists", "word", ("type",)),
    ("sensitiveInformationPolicy", "piiEntities", "pii", ("type",)),
    ("sensitiveInformationPolicy", "regexes", "regex", ("name",)),
    ("contextualGroundingPolicy", "filters", "grounding", ("type",)),
)


def read_bedrock(raw: Raw) -> Reading:
    """An ApplyGuardrail response, or the guardrail part of a Converse or agent trace.

    A finding that Bedrock only detected (`NONE`) is logged; what matched is in `raw` alone, never in a rule's name.
    """
    body = raw.get("guardrail") or raw.get("guardrailTrace") or raw
    members = {
        "guard": _text(body, "guardrailId", "guardrailIdentifier") or "bedrock",
        "guard_version": _text(body, "guardrailVersion"),
    }
    action = body.get("action")
    assessments = list(_bedrock_assessments(body))
    if failure := _text(body, "__type", "error", "Error"):
        return Reading(members, error=failure)
    if action not in ("GUARDRAIL_INTERVENED", "INTERVENED", "NONE") and (action is not None or not assessments):
        raise NotUnderstood(f"action {action!r}")
    hits = [hit for assessment in assessments for hit in _bedrock_hits(assessment)]
    if action in ("GUARDRAIL_INTERVENED", "INTERVENED") and all(hit.action == "log" for hit in hits):
        hits.append(Hit("", "block"))  # it intervened, and does not say for what
    latencies = [(a.get("invocationMetrics") or {}).get("guardrailProcessingLatency") for a in assessments]
    known = [latency for latency in latencies if isinstance(latency, int | float)]
    return Reading(members | {"latency_ms": _milliseconds(sum(known), 1) if known else None}, hits)


def _bedrock_assessments(body: Raw) -> Iterator[Raw]:
    yield from body.get("assessments") or ()
    yield from (body.get("inputAssessment") or {}).values()
    for name in ("inputAssessments", "outputAssessments"):
        found = body.get(name) or ()
        for assessment in found.values() if isinstance(found, Mapping) else found:
            yield from assessment if isinstance(assessment, list) else (assessment,)


def _bedrock_hits(assessment: Raw) -> Iterator[Hit]:
    for policy, member, kind, names in _BEDROCK_LISTS:
        for entry in (assessment.get(policy) or {}).get(member) or ():
            if entry["action"] == "NONE" and entry.get("detected") is not True:
                continue
            action = _BEDROCK_ACTIONS[entry["action"]]
            rule = ":".join([kind, *(str(entry[name]) for name in names)])
            yield Hit(rule, action, score=_number(entry, "score"), threshold=_number(entry, "threshold"))


ON_FAIL = {
    "reask": "reask",
    "fix": "rewrite",
    "filter": "filter",
    "refrain": "refrain",
    "noop": "log",
    "exception": "block",
    "fix_reask": "reask",
    "custom": "rewrite",
}
"""Guardrails AI's on-fail actions."""


def read_guardrails_ai(raw: Raw) -> Reading:
    """A `ValidationOutcome` with its summaries, or one `ValidatorLogs` entry; `on_fail` may stand beside either."""
    name = _text(raw, "validator_name", "registered_name", "validator")
    members = {"guard": "guardrails_ai", "rule": name}
    if failure := raw.get("error"):
        return Reading(members, error=str(failure)[:200])
    result = raw.get("validation_result")
    if isinstance(result, Mapping):
        return Reading(members, [_validation(name, result["outcome"] == "fail", raw)])
    if "outcome" in raw:
        return Reading(members, [_validation(name, raw["outcome"] == "fail", raw)])
    if not isinstance(raw.get("validation_passed"), bool):
        raise NotUnderstood("neither an outcome nor validation_passed")
    summaries = raw.get("validation_summaries") or ()
    hits = [_validation(s["validator_name"], s["validator_status"] == "fail", s | _outer(raw)) for s in summaries]
    if not raw["validation_passed"] and not any(hit.is_triggered for hit in hits):
        hits.append(_validation(name, True, raw))
    return Reading(members, hits)


def _outer(raw: Raw) -> dict[str, Any]:
    return {key: raw[key] for key in ("on_fail", "reask", "validated_output", "raw_llm_output") if key in raw}


def _validation(rule: str, has_failed: bool, raw: Raw) -> Hit:
    if not has_failed:
        return Hit(rule, "allow", is_triggered=False)
    on_fail = str(raw.get("on_fail") or "").lower().rsplit(".", 1)[-1]
    if on_fail:
        return Hit(rule, ON_FAIL[on_fail])
    if raw.get("reask"):
        return Hit(rule, "reask")
    is_emptied = "validated_output" in raw and raw["validated_output"] is None
    return Hit(rule, "refrain" if is_emptied else "log")


def read_llama_guard(raw: Raw) -> Reading:
    """Its text: `safe`, or `unsafe` and a line of categories. It classifies and does nothing: `log`, unless told."""
    text = _text(raw, "output", "generated_text", "text", "content")
    first, *rest = text.strip().split("\n", 1)
    members = {"guard": "llama_guard", "guard_version": _text(raw, "model")}
    if first.strip().lower() == "safe" and not rest:
        return Reading(members, [Hit("", "allow", is_triggered=False)])
    if first.strip().lower() != "unsafe":
        raise NotUnderstood("neither safe nor unsafe")
    categories = [category.strip() for category in (rest[0] if rest else "").split(",") if category.strip()]
    return Reading(members, [Hit(category, "log") for category in categories] or [Hit("", "log")])


def read_opa(raw: Raw) -> Reading:
    """A decision log entry. The result is a boolean, or an object with `allow` or `deny`; undefined is an error."""
    bundles = raw.get("bundles") or {}
    revisions = [f"{name}={bundle.get('revision', '')}" for name, bundle in sorted(bundles.items())]
    rule = _text(raw, "path", "query")
    members = {
        "guard": "opa",
        "guard_version": _text(raw, "revision") or ",".join(revisions),
        "rule": rule,
        "latency_ms": _milliseconds((raw.get("metrics") or {}).get("timer_server_handler_ns"), 1e-6),
    }
    if failure := raw.get("error"):
        code = failure.get("code") if isinstance(failure, Mapping) else failure
        return Reading(members, error=str(code or "evaluation failed")[:200], is_held_back=raw.get("result") is False)
    if "result" not in raw:
        return Reading(members, error="undefined: no rule of the policy applied")
    is_allowed = _opa_allows(raw["result"])
    return Reading(members, [Hit(rule, "allow" if is_allowed else "block", is_triggered=not is_allowed)])


def _opa_allows(result: Any) -> bool:
    if isinstance(result, bool):
        return result
    if isinstance(result, Mapping):
        for name in ("allow", "allowed"):
            if isinstance(result.get(name), bool):
                return bool(result[name])
        if "deny" in result:
            return not result["deny"]
    raise NotUnderstood("a result that neither allows nor denies")


def _text(raw: Raw, *names: str) -> str:
    return next((value for name in names if isinstance(value := raw.get(name), str) and value), "")


def _number(raw: Raw, name: str) -> float | None:
    value = raw.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _milliseconds(value: Any, factor: float) -> float | None:
    found = round(float(value) * factor, 3) if isinstance(value, int | float) else 0.0
    return found if math.isfinite(found) and found > 0 else None


SOURCES: Mapping[str, Callable[[Raw], Reading]] = {
    "nemo": read_nemo,
    "bedrock": read_bedrock,
    "guardrails_ai": read_guardrails_ai,
    "llama_guard": read_llama_guard,
    "opa": read_opa,
}
