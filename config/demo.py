"""The example organisation: made once, found again at every later start."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import F

from policies.activations import activate_version
from policies.approvals import approve_version, statement_for
from policies.backtests import start_backtest
from policies.library import load_starter
from policies.lifecycle import QUORUM, State
from policies.models import Mode, Policy, PolicyActivation, PolicyVersion
from policies.services import draft_version, submit_version
from tenants.access import Seat, actor_for, seats_of
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import ApiKey, SourceSystem, Tenant, User
from tenants.roles import Role
from tenants.services import add_member, create_key, create_source, create_tenant

SLUG, NAME = "acme-bank", "Acme Bank"
PEOPLE: Mapping[str, tuple[str, Role]] = {
    "owner": ("Olga Owner", Role.OWNER),
    "author": ("Arno Author", Role.POLICY_AUTHOR),
    "approver": ("Petra Approver", Role.POLICY_APPROVER),
    "deputy": ("Dario Deputy", Role.POLICY_APPROVER),
    "auditor": ("Aurel Auditor", Role.AUDITOR),
    "reviewer": ("Rita Reviewer", Role.AUDITOR),
    "viewer": ("Vera Viewer", Role.VIEWER),
}
SOURCES = ("loan-app", "support-app", "claims-agent")
SETUP = "setup"  # the key that sets budgets
POLICIES: Mapping[str, Mode] = {
    "adverse-needs-reason": Mode.ENFORCE,
    "low-confidence-automated": Mode.ENFORCE,
    "pii-in-output": Mode.ENFORCE,
    "prompt-injection": Mode.ENFORCE,
    "regulated-advice": Mode.ENFORCE,
    "off-hours": Mode.SHADOW,
}
WAITING = "over-long-input"  # the starter that nobody has approved yet


@dataclass
class Memory:
    """What only the demo knows and a later start needs: the password, the keys, the moment its records end."""

    password: str
    ends: str
    keys: dict[str, str] = field(default_factory=dict)
    submitted: bool = False
    surrounded: bool = False

    @classmethod
    def read(cls, path: Path) -> "Memory":
        """As it was left, or new."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return cls(password=f"demo-{secrets.token_hex(6)}", ends=datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self, path: Path) -> None:
        """Keep it, readable by the owner of the file only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)


def address_of(person: str) -> str:
    """The e-mail with which they sign in."""
    return f"{person}@acme.example"


def make_people(password: str) -> dict[str, User]:
    """Everybody of `PEOPLE`, each with this password."""
    people = {}
    for person, (name, _) in PEOPLE.items():
        user = User.objects.filter(email=address_of(person)).first()
        user = user or User.objects.create_user(address_of(person), password, name=name)
        if not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        people[person] = user
    return people


def make_tenant(people: Mapping[str, User]) -> dict[str, Actor]:
    """The tenant with everybody seated; their actors by person."""
    owner = people["owner"]
    if _seat(owner) is None:
        create_tenant(slug=SLUG, name=NAME, owner=owner)
    by = _actor(owner)
    for person, (_, role) in PEOPLE.items():
        if _seat(people[person]) is None:
            add_member(by=by, user=people[person], roles=[role])
    return {person: _actor(user) for person, user in people.items()}


def _seat(user: User) -> Seat | None:
    return next((seat for seat in seats_of(user.pk) if seat.slug == SLUG), None)


def _actor(user: User) -> Actor:
    seat = _seat(user)
    if seat is None:
        raise LookupError(f"{user.email} has no seat in {SLUG}.")
    return actor_for(user, seat)


def make_keys(owner: Actor, known: Mapping[str, str]) -> dict[str, str]:
    """An ingest key for each source and one that manages; one whose secret is still known goes on."""
    keys = {name: _key(owner, name, known.get(name, "")) for name in SOURCES}
    return keys | {SETUP: _setup_key(owner, known.get(SETUP, ""))}


def _key(owner: Actor, name: str, known: str) -> str:
    if _is_live(owner, known):
        return known
    with tenant_atomic(owner.tenant_id):
        source = SourceSystem.objects.filter(name=name).first()
    source = source or create_source(by=owner, name=name)
    return create_key(by=owner, name=f"{name} (demo)", scopes=["ingest"], source=source).secret


def _setup_key(owner: Actor, known: str) -> str:
    return known if _is_live(owner, known) else create_key(by=owner, name="set-up (demo)", scopes=["manage"]).secret


def _is_live(owner: Actor, secret: str) -> bool:
    with tenant_atomic(owner.tenant_id):
        return bool(secret) and ApiKey.objects.filter(prefix=secret.rpartition("_")[0], revoked_at=None).exists()


def make_policies(actors: Mapping[str, Actor], password: str, since: datetime) -> None:
    """The starters of `POLICIES`, each through its whole life: drafted, submitted, approved, put in force.

    `since`: from when on they judge the invented past.
    """
    for name, mode in POLICIES.items():
        with tenant_atomic(actors["author"].tenant_id):
            exists = Policy.objects.filter(slug=name).exists()
        if not exists:
            version = _approved(actors, name, password)
            activation = activate_version(by=actors["approver"], version=version, mode=mode)
            _invent_past(actors["approver"], activation, since)


def _approved(actors: Mapping[str, Actor], name: str, password: str) -> PolicyVersion:
    """A starter that as many people approved as its risk class asks for."""
    version = _submitted(actors["author"], name)
    for person in ("approver", "deputy")[: QUORUM[version.risk_class]]:
        statement = statement_for(by=actors[person], version=version)
        approve_version(by=actors[person], version=version, token=statement.token, password=password)
    return version


def _submitted(author: Actor, name: str) -> PolicyVersion:
    version = draft_version(by=author, source=load_starter(name).source, change_reason="From the library.")
    submit_version(by=author, version=version)
    return version


def make_waiting_policy(actors: Mapping[str, Actor], since: datetime, until: datetime) -> None:
    """One more starter, tried on the invented past, that waits for its approver."""
    author = actors["author"]
    with tenant_atomic(author.tenant_id):
        if Policy.objects.filter(slug=WAITING).exists():
            return
    start_backtest(by=author, version=_submitted(author, WAITING), since=since, until=until)


def _invent_past(by: Actor, activation: PolicyActivation, since: datetime) -> None:
    """Have the version judge the weeks before it was made, which the product itself never lets anybody do.

    The bank's past is invented as a whole, and this with it: no service writes such a row. The log says that it was
    written today, and why.
    """
    reason = "Invented past of the demonstration."
    begins = activation.effective.lower
    with tenant_atomic(by.tenant_id):
        PolicyActivation.objects.create(
            policy_id=activation.policy_id,
            version_id=activation.version_id,
            mode=activation.mode,
            effective=DateTimeTZRange(since, begins),
            recorded_at=since,
            closed_at=begins,
            ended_as=State.SUPERSEDED,
            activated_by_id=by.user_id,
            reason=reason,
        )
        body = {"version": str(activation.version_id), "mode": activation.mode, "from": since.isoformat()}
        append(Tag.POLICY_ACTIVATED, by=by, body=body | {"reason": reason}, ref=activation.version_id)
        Tenant.objects.filter(pk=by.tenant_id).update(policy_epoch=F("policy_epoch") + 1)
