"""I6: background work is told its tenant, and can do nothing for a tenant that is missing, invented or another's."""

import inspect
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from celery import Task
from django.core.exceptions import ObjectDoesNotExist

from config.celery import app
from tenants.context import TenantRequired, current_tenant_or_none, tenant_atomic
from tenants.models import LedgerEvent, LedgerQueue
from tests.invariants.worlds import World

app.loader.import_default_modules()
OURS = ("tenants.", "policies.", "traces.", "audits.")
TASKS: Mapping[str, Task[Any, Any]] = {name: task for name, task in sorted(app.tasks.items()) if name.startswith(OURS)}
TENANTED = [name for name, task in TASKS.items() if "tenant_id" in inspect.signature(task.run).parameters]
REFUSALS = (TenantRequired, ObjectDoesNotExist, LookupError, ValueError)


def arguments(name: str, world: World) -> dict[str, str]:
    """What the task is given beside its tenant: ids of the world's things, by the parameter's name."""
    known = {
        "case_id": world.case.pk,
        "decision_id": world.decision,
        "backtest_id": world.backtest,
        "restatement_id": world.restatement,
        "erasure_id": world.erasure,
    }
    wanted = [parameter for parameter in inspect.signature(TASKS[name].run).parameters if parameter != "tenant_id"]
    assert set(wanted) <= set(known), f"{name}: say in `arguments` what {sorted(set(wanted) - set(known))} is"
    return {parameter: str(known[parameter]) for parameter in wanted}


def traces_of(world: World) -> tuple[int, int]:
    with tenant_atomic(world.cast.tenant.pk):
        return LedgerEvent.objects.count(), LedgerQueue.objects.count()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_scheduled_for_everybody_or_told_its_tenant_first(name: str) -> None:
    parameters = list(inspect.signature(TASKS[name].run).parameters)
    assert parameters[:1] in ([], ["tenant_id"]), f"{name}: `tenant_id` comes first"


def test_there_are_tasks_to_prove_it_with() -> None:
    assert "audits.tasks.build_report" in TENANTED


@pytest.mark.parametrize("name", TENANTED)
def test_without_a_tenant_nothing_is_done(name: str, mine: World) -> None:
    before = traces_of(mine)
    with pytest.raises(TypeError):
        TASKS[name](**arguments(name, mine))
    for nobody in ("", "x", None):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            TASKS[name](tenant_id=nobody, **arguments(name, mine))
    assert traces_of(mine) == before


@pytest.mark.parametrize("name", TENANTED)
def test_an_invented_tenant_and_another_one_are_refused(name: str, mine: World, theirs: World) -> None:
    before = traces_of(mine), traces_of(theirs)
    for tenant_id in (uuid.uuid4(), theirs.cast.tenant.pk):
        with pytest.raises(REFUSALS):
            TASKS[name](tenant_id=str(tenant_id), **arguments(name, mine))
    assert (traces_of(mine), traces_of(theirs)) == before
    assert current_tenant_or_none() is None
