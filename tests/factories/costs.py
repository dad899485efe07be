"""Spending that has been counted, and the terms of budgets."""

from datetime import datetime
from typing import Any

from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.costs.budgeting import BudgetTerms
from traces.costs.rollups import roll_up

GPT_4O = {"provider": "openai", "name": "gpt-4o"}
A_DOLLAR = {"input_tokens": 400_000, "output_tokens": 0}


def spend(cast: Cast, dollars: int, *, at: datetime, now: datetime, **changes: Any) -> None:
    """As many decisions of a dollar each at `at`, counted at `now`."""
    submit(cast, dollars, model=GPT_4O, usage=A_DOLLAR, occurred_at=at.isoformat(), **changes)
    roll_up(cast.tenant.pk, now=now)


def terms(**changes: Any) -> BudgetTerms:
    """Ten dollars a month for everything, but for the changes."""
    given: dict[str, Any] = {"name": "All", "limit_micros": 10_000_000} | changes
    return BudgetTerms(**given)
