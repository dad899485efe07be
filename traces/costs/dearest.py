"""Users and sessions by what they cost. There may be a million of them: none but the dearest of each step are looked
at, from an index, so that the answer costs by the steps of the window and not by what is stored.

One that is never among the dearest of its step is left out; what it used is in "all others".
"""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from tenants.context import current_tenant_id
from traces.costs.spending import GRAINS, STEPS, SUBJECTS, UsageQuery
from traces.models import Deployment

EACH_STEP = 25  # looked at, in each step

_EVERYWHERE = """
SELECT value FROM traces_subjectrollup
 WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND grain = {grain} AND currency = %(currency)s AND bucket = step
 ORDER BY cost_micros + restated_micros DESC LIMIT %(each)s
"""
_IN_PLACES = """
SELECT value FROM unnest(%(places)s::uuid[]) AS place
 CROSS JOIN LATERAL (
    SELECT value, cost_micros + restated_micros AS cost FROM traces_subjectrollup
     WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND grain = {grain} AND deployment_id = place
       AND currency = %(currency)s AND bucket = step
     ORDER BY cost_micros + restated_micros DESC LIMIT %(each)s) AS found
 ORDER BY cost DESC LIMIT %(each)s
"""
# The sums are made value by value: a join would be planned by the size of the table, and some day read all of it.
_RANKED = """
WITH looked_at AS (
    SELECT DISTINCT value
      FROM generate_series(%(first)s::timestamptz, %(until)s::timestamptz - %(step)s::interval, %(step)s::interval)
           AS step
     CROSS JOIN LATERAL ({dearest}) AS dearest),
summed AS (
    SELECT value, sums.* FROM looked_at CROSS JOIN LATERAL (
        SELECT sum(cost_micros + restated_micros) FILTER (WHERE bucket >= %(since)s) AS cost,
               sum(cost_micros + restated_micros) FILTER (WHERE bucket < %(since)s) AS before,
               sum(n) FILTER (WHERE bucket >= %(since)s) AS n, sum(n) FILTER (WHERE bucket < %(since)s) AS n_before,
               sum(n_unpriced) FILTER (WHERE bucket >= %(since)s) AS n_unpriced,
               sum(n_cached) FILTER (WHERE bucket >= %(since)s) AS n_cached,
               sum(input_tokens + output_tokens) FILTER (WHERE bucket >= %(since)s) AS tokens,
               sum(saved_micros) FILTER (WHERE bucket >= %(since)s) AS saved
          FROM traces_subjectrollup
         WHERE tenant_id = %(tenant)s AND kind = %(kind)s AND value = looked_at.value AND grain = {grain}
           AND bucket >= %(first)s AND bucket < %(until)s AND currency IN ('', %(currency)s) {where}) AS sums),
ranked AS (
    SELECT *, row_number() OVER (ORDER BY cost DESC NULLS LAST, n DESC NULLS LAST, value) AS place,
           row_number() OVER (ORDER BY abs(coalesce(cost, 0) - coalesce(before, 0)) DESC, value) AS moved
      FROM summed)
SELECT value, cost, before, n, n_before, n_unpriced, n_cached, tokens, saved FROM ranked
 WHERE place <= %(listed)s OR moved <= %(movers)s ORDER BY place
"""


def dearest(wanted: UsageQuery, currency: str, listed: int, movers: int) -> list[tuple[str, tuple[int, ...]]]:
    """The dearest of the window, and after them those that changed most; each with the figures of `overview`."""
    step = STEPS[wanted.grain]
    values: dict[str, Any] = {
        "tenant": current_tenant_id(), "kind": SUBJECTS[wanted.group], "currency": currency, "each": EACH_STEP,
        "first": wanted.before().since, "since": wanted.since, "until": wanted.until, "step": step,
        "places": _places(wanted), "listed": listed, "movers": movers,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_statement(wanted), values)
        return [(row[0], tuple(int(figure or 0) for figure in row[1:])) for row in cursor.fetchall()]


def _statement(wanted: UsageQuery) -> str:
    """The grain is written out: the indexes hold hours and days, and a planner must see that these are asked for."""
    grain = int(GRAINS[wanted.grain])
    dearest = (_IN_PLACES if wanted.narrow else _EVERYWHERE).format(grain=grain)
    where = "AND deployment_id = ANY(%(places)s::uuid[])" if wanted.narrow else ""
    return _RANKED.format(dearest=dearest, grain=grain, where=where)


def _places(wanted: UsageQuery) -> Sequence[uuid.UUID]:
    """The deployments that the query is narrowed to; users and sessions are counted by nothing else."""
    if not wanted.narrow:
        return []
    return list(Deployment.objects.filter(**wanted.narrow).values_list("pk", flat=True))
