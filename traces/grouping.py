"""Group commit: requests that come while another's transaction is under way share the next one.

Whoever comes first leads: it takes what waits, serves all of it in one go, and hands the lead to the first of those
that came meanwhile. Nobody waits for company, so a lone request costs a lock more than without; under load the price
of a transaction (round trips, a flush to disk) is paid once for many. As databases do: Gray & Reuter, "Transaction
Processing" (1992), §9.4.7; PostgreSQL shares the flush, this the round trips as well. No database here.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


@dataclass(slots=True, eq=False)
class _Entry(Generic[JobT, ResultT]):
    job: JobT
    wake: threading.Event = field(default_factory=threading.Event)
    outcome: ResultT | Exception | None = None
    leads: bool = False


@dataclass(slots=True)
class _Lane(Generic[JobT, ResultT]):
    waiting: list[_Entry[JobT, ResultT]] = field(default_factory=list)
    is_led: bool = False


class GroupCommit(Generic[JobT, ResultT]):
    """Runs jobs of one lane (a tenant) together, those of different lanes apart.

    `serve` gets the jobs of one group, in the order of their coming, and returns one outcome each; it runs in the
    thread of one of them. `size` is a job's weight: a group takes jobs while their sum is at most `limit`, and one
    job at least. One group of a lane is under way at a time.
    """

    def __init__(
        self,
        serve: Callable[[Sequence[JobT]], Sequence[ResultT | Exception]],
        *,
        size: Callable[[JobT], int],
        limit: int,
    ) -> None:
        self._serve, self._size, self._limit = serve, size, limit
        self._lock = threading.Lock()
        self._lanes: dict[Hashable, _Lane[JobT, ResultT]] = {}

    def run(self, lane_key: Hashable, job: JobT) -> ResultT:
        """The job's result, or its exception raised."""
        entry: _Entry[JobT, ResultT] = _Entry(job)
        with self._lock:
            lane = self._lanes.setdefault(lane_key, _Lane())
            lane.waiting.append(entry)
            entry.leads = not lane.is_led
            lane.is_led = True
        if not entry.leads:
            entry.wake.wait()
        if entry.leads:
            self._lead(lane_key, lane, entry)
        if isinstance(entry.outcome, Exception):
            raise entry.outcome
        assert entry.outcome is not None  # noqa: S101 (a served job has an outcome)
        return entry.outcome

    def _lead(self, lane_key: Hashable, lane: _Lane[JobT, ResultT], own: _Entry[JobT, ResultT]) -> None:
        with self._lock:
            group = self._take(lane, own)
        try:
            outcomes = self._serve([entry.job for entry in group])
            for entry, outcome in zip(group, outcomes, strict=True):
                entry.outcome = outcome
        except BaseException:  # the leader's own to raise
            for entry in group:
                entry.outcome = RuntimeError("The thread that served this request ended.")
            raise
        finally:
            self._pass_on(lane_key, lane)
            for entry in group:
                entry.wake.set()

    def _take(self, lane: _Lane[JobT, ResultT], own: _Entry[JobT, ResultT]) -> list[_Entry[JobT, ResultT]]:
        """The leader's own job, and those that waited longest as far as they fit."""
        lane.waiting.remove(own)
        group, weight = [own], self._size(own.job)
        while lane.waiting:
            weight += self._size(lane.waiting[0].job)
            if weight > self._limit:
                break
            group.append(lane.waiting.pop(0))
        return group

    def _pass_on(self, lane_key: Hashable, lane: _Lane[JobT, ResultT]) -> None:
        """The next in line leads; a lane where nobody waits is forgotten."""
        with self._lock:
            if lane.waiting:
                lane.waiting[0].leads = True
                lane.waiting[0].wake.set()
            else:
                del self._lanes[lane_key]
