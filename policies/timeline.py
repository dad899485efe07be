"""Which policies were in force where and when: loaded once per tenant and policy epoch, then pure.

A decision is judged by the set in force at its own time, in its own place. `Tenant.policy_epoch` rises whenever an
activation starts or ends, so one cheap query tells a process whether what it has in memory still holds.
"""

import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from policies.document import compile_policy, parse
from policies.engine import CompiledPolicy
from policies.models import Mode, PolicyActivation, PolicySet
from tenants.ledger.canonical import dumps
from tenants.models import Tenant

CACHED_TENANTS = 1_000


@dataclass(frozen=True, slots=True)
class Activation:
    """A version at work: from `starts` (included) to `ends` (excluded; None: open)."""

    policy: str
    sha256: str
    mode: str
    starts: datetime
    ends: datetime | None
    compiled: CompiledPolicy

    def holds_at(self, at: datetime) -> bool:
        return self.starts <= at and (self.ends is None or at < self.ends)

    def applies(self, system: str, environment: str, task: str) -> bool:
        wanted = (
            (self.compiled.systems, system),
            (self.compiled.environments, environment),
            (self.compiled.tasks, task),
        )
        return all(not names or name in names for names, name in wanted)


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy set: its members as [[policy, version sha256, mode], …] in canonical form, and what to run."""

    sha256: bytes
    members: bytes
    enforced: tuple[CompiledPolicy, ...]
    shadow: tuple[CompiledPolicy, ...]


def policy_set(activations: Iterable[Activation]) -> InForce:
    """The set that these activations make together, whatever their order."""
    ordered = sorted(activations, key=lambda a: (a.policy, a.mode, a.sha256))
    members = dumps([[a.policy, a.sha256, a.mode] for a in ordered])
    enforced = tuple(a.compiled for a in ordered if a.mode == Mode.ENFORCE)
    shadow = tuple(a.compiled for a in ordered if a.mode == Mode.SHADOW)
    return InForce(hashlib.sha256(members).digest(), members, enforced, shadow)


Place = tuple[str, str, str]


@dataclass(slots=True)
class _Scope:
    """The sets of one place, one for each interval between two changes."""

    changes: list[datetime]
    sets: list[InForce]

    def at(self, moment: datetime) -> int:
        return bisect_right(self.changes, moment)


@dataclass(slots=True)
class Timeline:
    """A tenant's activations, ready to answer; scopes are worked out when first asked for."""

    activations: Sequence[Activation]
    _scopes: dict[Place, _Scope] = field(default_factory=dict)

    def in_force(self, system: str, environment: str, task: str, at: datetime) -> InForce:
        """The set in force at that place and time (the empty set where no policy applies)."""
        scope = self._scope((system, environment, task))
        return scope.sets[scope.at(at)]

    def match(self, claim: bytes | None, in_force: InForce, at: datetime, place: Place) -> str:
        """How a claimed set relates to the one in force: match, stale (it was), future (it will be), unknown, none."""
        if claim is None:
            return "none"
        if claim == in_force.sha256:
            return "match"
        scope = self._scope(place)
        now = scope.at(at)
        if any(known.sha256 == claim for known in scope.sets[:now]):
            return "stale"
        return "future" if any(known.sha256 == claim for known in scope.sets[now + 1 :]) else "unknown"

    def _scope(self, place: Place) -> _Scope:
        scope = self._scopes.get(place)
        if scope is None:
            if len(self._scopes) > CACHED_TENANTS:
                self._scopes.clear()  # places are few; a stream of invented ones must not fill memory
            scope = self._scopes[place] = self._worked_out(place)
        return scope

    def _worked_out(self, place: Place) -> _Scope:
        """One pass over the changes, keeping what holds: costs by what holds together, not by all there ever was."""
        begins: dict[datetime, list[Activation]] = {}
        ends: dict[datetime, list[Activation]] = {}
        for activation in self.activations:
            if activation.applies(*place):
                begins.setdefault(activation.starts, []).append(activation)
                if activation.ends is not None:
                    ends.setdefault(activation.ends, []).append(activation)
        changes = sorted(begins.keys() | ends.keys())
        sets = [policy_set([])]
        holding: dict[int, Activation] = {}
        for change in changes:
            for activation in ends.get(change, ()):
                holding.pop(id(activation), None)
            holding |= {id(activation): activation for activation in begins.get(change, ())}
            sets.append(policy_set(holding.values()))
        return _Scope(changes, sets)


_timelines: dict[uuid.UUID, tuple[int, Timeline]] = {}


def timeline_of(tenant_id: uuid.UUID, *, using: str = "default") -> Timeline:
    """The tenant's timeline, inside the caller's `tenant_atomic`; one query while nothing changed."""
    epoch = Tenant.objects.using(using).values_list("policy_epoch", flat=True).get(pk=tenant_id)
    if known := known_timeline(tenant_id, epoch):
        return known
    timeline = Timeline(_load(using))
    if len(_timelines) >= CACHED_TENANTS:
        _timelines.clear()
    _timelines[tenant_id] = (epoch, timeline)
    return timeline


def known_timeline(tenant_id: uuid.UUID, epoch: int) -> Timeline | None:
    """The timeline of this policy epoch, if this process has it; for callers that read the epoch themselves."""
    cached = _timelines.get(tenant_id)
    return cached[1] if cached and cached[0] == epoch else None


def _load(using: str) -> list[Activation]:
    live = PolicyActivation.objects.using(using).filter(cancelled_at__isnull=True)
    rows = live.select_related("policy", "version").order_by("effective")
    return [
        Activation(
            policy=row.policy.slug,
            sha256=bytes(row.version.sha256).hex(),
            mode=row.mode,
            starts=row.effective.lower,
            ends=row.effective.upper,
            compiled=compile_policy(parse(bytes(row.version.canonical))),
        )
        for row in rows
    ]


_known_sets: set[tuple[uuid.UUID, bytes]] = set()


def is_set_kept(tenant_id: uuid.UUID, in_force: InForce) -> bool:
    """Whether this process has kept the set before, so that `ensure_policy_set` has nothing to do."""
    return (tenant_id, in_force.sha256) in _known_sets


def ensure_policy_set(tenant_id: uuid.UUID, in_force: InForce, *, using: str = "default") -> None:
    """Keep what the set's hash stands for; nothing to do when this process has kept it before."""
    if is_set_kept(tenant_id, in_force):
        return
    row = PolicySet(sha256=in_force.sha256, members=in_force.members)
    PolicySet.objects.using(using).bulk_create([row], ignore_conflicts=True)
    transaction.on_commit(lambda: _known_sets.add((tenant_id, in_force.sha256)), using=using)
