"""Group commit: together what comes together, apart what belongs apart, and every job its own outcome."""

import threading
from collections.abc import Callable, Sequence

import pytest

from traces.grouping import GroupCommit

PATIENCE = 10.0


class Server:
    """Answers each number with its double; the first group waits until the test lets it go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(jobs))
        self.entered.set()
        assert self.go.wait(PATIENCE)
        return [ValueError(f"no {job}") if job < 0 else 2 * job for job in jobs]


def in_threads(calls: Sequence[Callable[[], object]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def run_all(jobs: Sequence[int], limit: int, lanes: Sequence[str] | None = None) -> tuple[Server, dict[int, object]]:
    """The first job alone, the others while it is under way; what each was told."""
    server, told = Server(), dict[int, object]()
    group: GroupCommit[int, int] = GroupCommit(server, size=abs, limit=limit)

    def call(job: int, lane: str) -> None:
        try:
            told[job] = group.run(lane, job)
        except ValueError as error:
            told[job] = error

    where = lanes or ["t"] * len(jobs)
    threads = in_threads([lambda: call(jobs[0], where[0])])
    assert server.entered.wait(PATIENCE)
    for job, lane in zip(jobs[1:], where[1:], strict=True):
        threads += in_threads([lambda job=job, lane=lane: call(job, lane)])  # type: ignore[misc]
        waiting = threading.Event()
        while (
            lane == where[0] and not any(e.job == job for e in group._lanes[lane].waiting) and not waiting.wait(0.001)
        ):
            pass
    server.go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not group._lanes
    return server, told


def test_a_lone_job_is_served_at_once() -> None:
    server = Server()
    server.go.set()
    assert GroupCommit(server, size=abs, limit=1).run("t", 5) == 10


def test_what_comes_meanwhile_is_served_together() -> None:
    server, told = run_all([1, 2, 3, 4], limit=100)
    assert server.groups == [[1], [2, 3, 4]]
    assert told == {1: 2, 2: 4, 3: 6, 4: 8}


def test_a_group_has_a_limit_but_takes_a_job_that_is_larger() -> None:
    server, told = run_all([1, 50, 5, 6, 7], limit=12)
    assert server.groups == [[1], [50], [5, 6], [7]]
    assert told[50] == 100


def test_one_that_fails_fails_alone() -> None:
    server, told = run_all([1, -2, 3], limit=100)
    assert server.groups == [[1], [-2, 3]]
    assert isinstance(told[-2], ValueError)
    assert told[3] == 6


def test_lanes_do_not_wait_for_each_other() -> None:
    server, told = run_all([1, 2], limit=100, lanes=["a", "b"])
    assert sorted(server.groups) == [[1], [2]]
    assert told == {1: 2, 2: 4}


def test_if_the_leader_dies_the_others_are_told_and_the_lane_goes_on() -> None:
    def serve(jobs: Sequence[int]) -> list[int | Exception]:
        if 1 in jobs:
            raise SystemExit
        return list(jobs)

    group: GroupCommit[int, int] = GroupCommit(serve, size=abs, limit=100)
    with pytest.raises(SystemExit):
        group.run("t", 1)
    assert not group._lanes
    assert group.run("t", 2) == 2
