"""Rows that many decisions share: deployments, model versions and which of them met, subject keys. Found in memory,
made when first seen.

They are made in a transaction of their own, before the decisions': a batch that is refused leaves at most an unused
deployment behind, and concurrent batches never wait for each other's commit on a shared row.
"""

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from tenants import crypto
from tenants.context import tenant_atomic
from tenants.ids import unix_ms, uuid7
from tenants.ledger.canonical import dumps
from tenants.models import SubjectKey
from traces.models import Deployment, ModelVersion, Pairing
from traces.submissions import Model, Submitted

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

DeploymentKey = tuple[str, str, str]


class Lru(Generic[KeyT, ValueT]):
    """The most recently used entries, bounded; safe under threads because every step is one dict operation."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: OrderedDict[KeyT, ValueT] = OrderedDict()

    def get(self, key: KeyT) -> ValueT | None:
        return self.entries.get(key)

    def put(self, key: KeyT, value: ValueT) -> None:
        self.entries[key] = value
        if len(self.entries) > self.size:
            self.entries.popitem(last=False)

    def drop(self, key: KeyT) -> None:
        self.entries.pop(key, None)


_deployments: Lru[tuple[uuid.UUID, DeploymentKey], uuid.UUID] = Lru(50_000)
_model_versions: Lru[tuple[uuid.UUID, bytes], uuid.UUID] = Lru(50_000)
_pairings: Lru[tuple[uuid.UUID, tuple[uuid.UUID, uuid.UUID]], bool] = Lru(50_000)
_subject_keys: Lru[tuple[uuid.UUID, bytes], tuple[uuid.UUID, bytes]] = Lru(100_000)
_erasure_epochs: dict[uuid.UUID, int] = {}


def deployment_key(typed: Submitted) -> DeploymentKey:
    """System × environment × task."""
    return (typed.system, typed.environment or "", typed.task or "")


def model_descriptor(model: Model | None) -> dict[str, str]:
    """What identifies the model and its prompt; absent parts are left out."""
    if model is None:
        return {}
    prompt = model.prompt
    parts = {
        "provider": model.provider,
        "name": model.name,
        "version": model.version,
        "prompt_name": prompt.name if prompt else "",
        "prompt_version": prompt.version if prompt else "",
    }
    return {name: value for name, value in parts.items() if value}


def model_sha256(model: Model | None) -> bytes:
    """SHA-256 of the descriptor's canonical form: the leaf's `mh`."""
    return hashlib.sha256(dumps(model_descriptor(model))).digest()


def deployment_ids(
    tenant_id: uuid.UUID, keys: Iterable[DeploymentKey], now: datetime, using: str
) -> dict[DeploymentKey, uuid.UUID]:
    """The id of each deployment, made if it is new."""

    def make(missing: list[DeploymentKey]) -> dict[DeploymentKey, uuid.UUID]:
        rows = Deployment.objects.using(using)
        rows.bulk_create(
            [Deployment(system=s, environment=e, task=t, first_seen_at=now) for s, e, t in missing],
            ignore_conflicts=True,
        )
        found = rows.filter(system__in={key[0] for key in missing})
        return {(row.system, row.environment, row.task): row.pk for row in found}

    return _resolve(tenant_id, set(keys), _deployments, make, using)


def model_version_ids(
    tenant_id: uuid.UUID, models: Iterable[tuple[bytes, Model | None]], now: datetime, using: str
) -> dict[bytes, uuid.UUID]:
    """The id of each model version, by its `model_sha256`."""
    by_hash = dict(models)

    def make(missing: list[bytes]) -> dict[bytes, uuid.UUID]:
        rows = ModelVersion.objects.using(using)
        rows.bulk_create(
            [ModelVersion(sha256=digest, first_seen_at=now, **model_descriptor(by_hash[digest])) for digest in missing],
            ignore_conflicts=True,
        )
        return {bytes(row.sha256): row.pk for row in rows.filter(sha256__in=missing)}

    return _resolve(tenant_id, set(by_hash), _model_versions, make, using)


def note_pairings(tenant_id: uuid.UUID, pairs: Iterable[tuple[uuid.UUID, uuid.UUID]], using: str) -> None:
    """Remember that these model versions have answered in these deployments, as (deployment, model version)."""

    def make(missing: list[tuple[uuid.UUID, uuid.UUID]]) -> dict[tuple[uuid.UUID, uuid.UUID], bool]:
        Pairing.objects.using(using).bulk_create(
            [Pairing(tenant_id=tenant_id, deployment_id=d, model_version_id=m) for d, m in missing],
            ignore_conflicts=True,
        )
        return dict.fromkeys(missing, True)

    _resolve(tenant_id, set(pairs), _pairings, make, using)


def subject_keys(
    tenant_id: uuid.UUID, subjects: Iterable[str], now: datetime, using: str
) -> dict[str, tuple[uuid.UUID, bytes]]:
    """The data key of each subject as (row id, key); an empty name is the key of records about nobody."""
    tenant_key = crypto.tenant_key(tenant_id, using)
    digests = {subject: crypto.derive(tenant_key, "subject", subject.encode()) for subject in set(subjects)}

    def make(missing: list[bytes]) -> dict[bytes, tuple[uuid.UUID, bytes]]:
        rows = SubjectKey.objects.using(using)
        rows.bulk_create(
            [
                SubjectKey(id=uuid7(unix_ms(now)), subject_hmac=digest, wrapped=crypto.new_wrapped_key(tenant_key))
                for digest in missing
            ],
            ignore_conflicts=True,
        )
        found = rows.filter(subject_hmac__in=missing)
        return {bytes(row.subject_hmac): (row.pk, crypto.unwrap(tenant_key, bytes(row.wrapped))) for row in found}

    resolved = _resolve(tenant_id, set(digests.values()), _subject_keys, make, using)
    return {subject: resolved[digest] for subject, digest in digests.items()}


def are_keys_of(tenant_id: uuid.UUID, epoch: int) -> bool:
    """Whether the keys in memory are of this `Tenant.erasure_epoch`; if not, they are forgotten and `epoch` is theirs.

    An erasure raises it, so that a process drops a destroyed key with the first record that comes after. What it would
    have written under such a key meanwhile, the foreign key refuses. Nothing is ever read with a key from memory.
    """
    if _erasure_epochs.get(tenant_id, 0) == epoch:
        return True
    forget_keys(tenant_id)
    _erasure_epochs[tenant_id] = epoch
    return False


def forget_keys(tenant_id: uuid.UUID) -> None:
    """Drop every subject key of a tenant from this process's memory."""
    for known in [key for key in list(_subject_keys.entries) if key[0] == tenant_id]:
        _subject_keys.drop(known)


def _resolve(
    tenant_id: uuid.UUID,
    keys: set[Any],
    cache: "Lru[tuple[uuid.UUID, Any], Any]",
    make: Callable[[list[Any]], dict[Any, Any]],
    using: str,
) -> dict[Any, Any]:
    found = {key: value for key in keys if (value := cache.get((tenant_id, key))) is not None}
    missing = sorted(keys - found.keys())
    if missing:
        with tenant_atomic(tenant_id, using=using):
            made = make(missing)
        for key in missing:
            found[key] = made[key]
            cache.put((tenant_id, key), made[key])  # only now: the transaction is committed
    return found
