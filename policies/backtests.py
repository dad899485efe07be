"""Backtests as evidence: asked for, run in chunks by whoever holds the decisions, finished once, in the ledger."""

import uuid
from datetime import UTC, datetime
from functools import lru_cache

from django.core.exceptions import ValidationError

from policies.backtest import BacktestResult, read_result
from policies.document import compile_policy, parse
from policies.engine import CompiledPolicy
from policies.models import PolicyBacktest, PolicyVersion
from policies.services import NotPossible, version_body
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append

State = PolicyBacktest.State
UNFINISHED = (State.QUEUED, State.RUNNING)


def start_backtest(
    *, by: Actor, version: PolicyVersion, since: datetime, until: datetime, system: str = ""
) -> PolicyBacktest:
    """Ask for a replay over the decisions that occurred from `since` to before `until`, of one system or of all."""
    require(by, "policy.backtest")
    if not since < until <= datetime.now(UTC):
        raise ValidationError("The window must end now or earlier, after it starts.")
    with tenant_atomic(by.tenant_id):
        backtest = PolicyBacktest.objects.create(
            version=version, since=since, until=until, system=system, requested_by_id=by.user_id
        )
        body = version_body(version) | _window(backtest)
        append(Tag.BACKTEST_STARTED, by=by, body=body, ref=version.pk)
    return backtest


def cancel_backtest(*, by: Actor, backtest: PolicyBacktest) -> None:
    """Stop a replay; the runner sees it before its next chunk."""
    require(by, "policy.backtest")
    with tenant_atomic(by.tenant_id):
        row = _locked(backtest.pk)
        if row.state not in UNFINISHED:
            raise NotPossible("This backtest is over.")
        row.state, row.finished_at = State.CANCELLED, datetime.now(UTC)
        row.save(update_fields=["state", "finished_at"])
        append(Tag.BACKTEST_CANCELLED, by=by, body={"backtest": str(row.pk)}, ref=row.pk)


def next_backtest() -> PolicyBacktest | None:
    """The oldest that waits or was left half done, for a runner inside `tenant_atomic`."""
    waiting = PolicyBacktest.objects.filter(state__in=UNFINISHED).select_related("version")
    return waiting.defer("result").order_by("created_at", "id").first()


def candidate_of(backtest: PolicyBacktest) -> CompiledPolicy:
    """The version, ready to replay. Raises `DocumentError` when it is no longer valid."""
    return _compiled(bytes(backtest.version.canonical))


@lru_cache(maxsize=16)
def _compiled(canonical: bytes) -> CompiledPolicy:
    return compile_policy(parse(canonical))  # parsing runs the document's examples: not again for every chunk


def record_chunk(
    *,
    by: Actor,
    backtest_id: uuid.UUID,
    expected_cursor: str,
    chunk: BacktestResult,
    cursor: str,
    total: int | None = None,
) -> bool:
    """Add a replayed chunk and remember where the next begins; False when the replay is over or the chunk was added
    already, so that a runner that was killed can begin again at `cursor`."""
    with tenant_atomic(by.tenant_id):
        row = _locked(backtest_id)
        if row.state not in UNFINISHED or row.cursor != expected_cursor:
            return False
        result = read_result(bytes(row.result)) if row.result else BacktestResult()
        result.merge(chunk)
        row.result, row.processed, row.cursor, row.state = result.canonical(), result.processed, cursor, State.RUNNING
        row.total = total if total is not None else row.total
        row.save(update_fields=["result", "processed", "cursor", "state", "total"])
    return True


def finish_backtest(*, by: Actor, backtest_id: uuid.UUID) -> PolicyBacktest:
    """Close it: the result is final, hashed, and evidence in the ledger."""
    with tenant_atomic(by.tenant_id):
        row = _locked(backtest_id)
        if row.state not in UNFINISHED:
            raise NotPossible("This backtest is over.")
        result = read_result(bytes(row.result)) if row.result else BacktestResult()
        row.result, row.sha256 = result.canonical(), result.sha256
        row.state, row.finished_at, row.total = State.DONE, datetime.now(UTC), result.processed
        row.processed = result.processed
        row.save(update_fields=["result", "sha256", "state", "finished_at", "total", "processed"])
        body = version_body(row.version) | _window(row)
        body |= {"result_sha256": result.sha256.hex(), "decisions": result.decisions, "flips": result.flips}
        body |= {"erased": result.erased}
        append(Tag.BACKTEST_FINISHED, by=by, body=body, ref=row.version_id)
    return row


def fail_backtest(*, by: Actor, backtest_id: uuid.UUID, message: str) -> None:
    """Give up, and say why on the report."""
    with tenant_atomic(by.tenant_id):
        row = _locked(backtest_id)
        if row.state in UNFINISHED:
            row.state, row.message, row.finished_at = State.FAILED, message, datetime.now(UTC)
            row.save(update_fields=["state", "message", "finished_at"])


def _locked(pk: uuid.UUID) -> PolicyBacktest:
    rows = PolicyBacktest.objects.select_for_update(of=("self",)).select_related("version__policy")
    return get_row(rows, pk=pk)


def _window(backtest: PolicyBacktest) -> dict[str, object]:
    return {
        "backtest": str(backtest.pk),
        "since": backtest.since.isoformat(),
        "until": backtest.until.isoformat(),
        "system": backtest.system,
    }
