"""A tenant's decisions as the product would have stored them by now, written into its tables in bulk.

Everything a list, a filter or a search looks at is there: deployments, models, sealed payloads that open, the keyed
hashes of their words, leaves, rule hits, feedback, and the answer that finds an external id (of every tenth). The same
number is always the same decision, so an archive can be made larger without changing what it holds.

Users, sessions and traces grow with the archive, as they do; systems, models and policies do not. What few decisions
share (`FEW` of the words, a failed call, a block) is a share of it too.
"""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connections

from tenants import crypto
from tenants.bulk import BYTEA, INT8, UUID, BulkInsert, raw_cursor
from tenants.context import tenant_atomic
from tenants.ids import unix_ms, uuid7
from tests.factories.tenants import Cast
from traces import rows
from traces.dimensions import deployment_ids, model_sha256, model_version_ids, note_pairings, subject_keys
from traces.models import Feedback
from traces.recording import key_id
from traces.sealing import bound_to, canonical_groups, new_seed, seal_content
from traces.search.indexing import TOKENS, search_key
from traces.search.words import distinct_words, token
from traces.submissions import Model, Prompt

DAYS = 28  # so that last month's partition holds the oldest
CHUNK = 5_000
SYSTEMS = ("loan-assistant", "claims-triage", "support-bot", "fraud-screen", "hr-helper", "contract-reader")
MODELS = ("gpt-5-mini", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro")  # a system uses two that follow each other
POLICIES = ("pii-in-output", "brevity", "known-model", "off-hours")
MANY, SOME, FEW, PHRASE, SPLIT = "income", "collateral", "zeppelin", ("proof", "of", "residence"), ("residence", "of")
_VOCABULARY = 3 * [
    first + last
    for first in "bcdfglmnprst"
    for last in ("adel", "ibor", "umin", "ofen", "elka", "arti", "onda", "isto", "erun", "alep")
]
LEAVES = BulkInsert(
    "tenants_ledgerleaf",
    [("shard", INT8), ("leaf_index", INT8), ("rid", UUID), ("leaf", BYTEA), ("leaf_hash", BYTEA)],
)


@dataclass
class Archive:
    """The tenant `cast` with `size` decisions; the newest was received at `until`, the whole takes `of`."""

    cast: Cast
    of: int
    until: datetime
    size: int = 0
    ids: list[uuid.UUID] = field(default_factory=list)

    def grow(self, size: int) -> None:
        """Add decisions until there are `size`; then let the database look at what it has, as autovacuum would."""
        for start in range(self.size, size, CHUNK):
            self._add(range(start, min(start + CHUNK, size)))
        self.size = size
        with connections["owner"].cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def at(self, number: int) -> datetime:
        return self.until - timedelta(days=DAYS) * (1 - number / self.of)

    def _add(self, numbers: range) -> None:
        tenant_id, made = self.cast.tenant.pk, [_decision(number, self.at(number)) for number in numbers]
        places = deployment_ids(tenant_id, {one["place"] for one in made}, self.until, "owner")
        models = {model_sha256(one["model"]): one["model"] for one in made}
        versions = model_version_ids(tenant_id, models.items(), self.until, "owner")
        met = {(places[one["place"]], versions[model_sha256(one["model"])]) for one in made}
        note_pairings(tenant_id, met, "owner")
        keys = subject_keys(tenant_id, {one["user"] for one in made}, self.until, "owner")
        found: dict[str, list[Any]] = {name: [] for name in ("decisions", "payloads", "leaves", "hits", "answers")}
        words: list[tuple[int, uuid.UUID]] = []
        with tenant_atomic(tenant_id, using="owner"):
            word_key = search_key(tenant_id)
        for one in made:
            self._stored(one, places, versions, keys, found)
            words += [(token(word_key, word), one["id"]) for word in distinct_words(one["content"])]
        with tenant_atomic(tenant_id, using="owner"):
            cursor = raw_cursor("owner")
            cursor.execute("SET LOCAL synchronous_commit = off")
            for table, name in (
                (rows.DECISIONS, "decisions"), (rows.PAYLOADS, "payloads"), (LEAVES, "leaves"),
                (rows.RULE_HITS, "hits"), (rows.SUBMISSIONS, "answers"),
            ):  # fmt: skip
                table.insert(cursor, tenant_id, found[name])
            TOKENS.insert(cursor, tenant_id, sorted(words))
            judged = [_feedback(one) for one in made if one["number"] % 100 == 7]
            Feedback.objects.using("owner").bulk_create(judged)
        self.ids += [one["id"] for one in made]

    def _stored(
        self, one: Mapping[str, Any], places: Any, versions: Any, keys: Any, found: Mapping[str, list[Any]]
    ) -> None:
        tenant_id, source, number = self.cast.tenant.pk, self.cast.source.pk, one["number"]
        values = dict.fromkeys((name for name, _ in rows.DECISIONS.columns), "") | one["columns"]
        values |= {"id": one["id"], "source_id": source, "deployment_id": places[one["place"]]}
        values["model_version_id"] = versions[model_sha256(one["model"])]
        found["decisions"].append([values[name] for name, _ in rows.DECISIONS.columns])
        key_pk, key = keys[one["user"]]
        sealed = seal_content(key, new_seed(), canonical_groups(one["content"]), bound_to(tenant_id, one["id"]))
        found["payloads"].append((one["id"], key_pk, sealed))
        # As an earlier shard, for the tenant's own log begins with its people and keys.
        found["leaves"].append((0, number, one["id"], one["id"].bytes * 8, one["id"].bytes * 2))
        if policy := one["policy"]:
            hit = (uuid7(unix_ms(one["at"])), one["id"], policy, "rule", "triggered", values["action"], one["at"])
            found["hits"].append(hit)
        if number % 10 == 0:
            key_of = key_id("external", source.bytes, str(values["external_id"]).encode())
            found["answers"].append((key_of, one["id"].bytes * 2, orjson.dumps({"id": str(one["id"])})))


def _feedback(one: Mapping[str, Any]) -> Feedback:
    label = "wrong" if one["number"] % 1_000 == 7 else "helpful"
    return Feedback(
        decision_id=one["id"], name="correct", label=label, actor="key:app", has_comment=False,
        fingerprint=one["id"].bytes * 2, given_at=one["at"],
    )  # fmt: skip


def user_of(number: int) -> str:
    """Fifty decisions a user, spread over a thousand that follow each other."""
    return f"u-{number // 50_000}-{number % 1_000}"


def session_of(number: int) -> str:
    return f"s-{number // 10_000}-{number % 1_250}"


def trace_of(number: int) -> uuid.UUID:
    """Two decisions a trace."""
    return uuid.UUID(int=random.Random(number // 2).getrandbits(128) | 1 << 127)


def _decision(number: int, at: datetime) -> dict[str, Any]:
    rng = random.Random(number)
    system = min(rng.randrange(9), 5)  # the last has four times what the others have
    name = MODELS[(system + rng.randrange(2)) % len(MODELS)]
    environment = "staging" if number % 29 == 0 else "production"
    policy = rng.choice(POLICIES[:2] if rng.random() < 0.9 else POLICIES) if number % 20 == 3 else ""
    action = ("block" if number % 60 == 3 else "warn") if policy else "allow"
    return {
        "number": number,
        "at": at,
        "id": uuid.UUID(int=(unix_ms(at) << 80) | 0x7 << 76 | (number % 4096) << 64 | 0b10 << 62 | number),
        "place": (SYSTEMS[system], environment, ("screening", "answering")[rng.randrange(2)]),
        "model": Model(provider="any", name=name, version=f"2026-0{1 + number % 3}-01",
                       prompt=Prompt(name="screen", version="14")),
        "user": user_of(number),
        "policy": policy,
        "content": _content(number, rng),
        "columns": _columns(number, at, rng) | {"action": action, "verdict": "breach" if policy else "pass"},
    }  # fmt: skip


def _columns(number: int, at: datetime, rng: random.Random) -> dict[str, Any]:
    counts = {"input_tokens": rng.randrange(200, 2_000), "output_tokens": rng.randrange(20, 400)}
    none = ("parent_span_id", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "currency",
            "cost_micros", "saved_micros", "price_sha256", "adverse", "source_seq")  # fmt: skip
    return (
        dict.fromkeys(none)
        | counts
        | {
            "occurred_at": at - timedelta(milliseconds=rng.randrange(400)),
            "external_id": f"loan-{number}",
            "trace_id": trace_of(number),
            "span_id": number,
            "session": session_of(number),
            "user": user_of(number),
            "latency_ms": rng.randrange(200, 4_000),
            "outcome": "error" if number % 200 == 11 else "answered",
            "policy_set": b"p" * 32,
            "policy_match": "none",
            "late": False,
            "clock_skewed": False,
            "leaf_hash": b"h" * 32,
        }
    )


def _content(number: int, rng: random.Random) -> dict[str, Any]:
    said = rng.choices(_VOCABULARY[: 10 + rng.randrange(350)], k=16)
    said += [MANY] * (number % 3 == 0) + [SOME] * (number % 100 == 1) + [FEW] * (number % 20_000 == 17)
    said += PHRASE if number % 1_000 == 5 else SPLIT if number % 250 == 6 else ()
    said += ["proof"] * (number % 250 == 6)
    return {
        "input": [{"role": "user", "content": " ".join(said[:8])}],
        "output": [{"role": "assistant", "content": " ".join(said[8:])}],
    }


def new_archive(cast: Cast, of: int) -> Archive:
    """An empty one; it has to be grown."""
    crypto.tenant_key(cast.tenant.pk, "owner")
    return Archive(cast, of, datetime.now(UTC) - timedelta(minutes=1))
