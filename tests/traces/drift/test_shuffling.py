"""Shuffling keeps its promise: on data in which nothing changed, p is uniform, sessions or not."""

import numpy as np
from threadpoolctl import threadpool_info

from tests.traces.drift.made import made_rows
from traces.drift.channels import Panel, Wide
from traces.drift.frame import Frame, Indexes
from traces.drift.shuffling import Law, one_thread, selections, session_sums, wide_samples, window_distances
from traces.drift.tails import permutation_p
from traces.drift.testing import _newest, confirm


def clustered(rng: np.random.Generator, sessions: int = 60, each: int = 4, d: int = 5) -> tuple[Wide, Indexes]:
    blocks = np.repeat(np.arange(sessions), each)
    values = rng.standard_normal((sessions, d))[blocks] + 0.3 * rng.standard_normal((sessions * each, d))
    return Wide("x", values.astype(np.float32), np.ones(sessions * each, dtype=np.float32)), blocks


def p_of(rng: np.random.Generator, wide: Wide, blocks: Indexes, seed: int) -> float:
    chosen = selections(np.bincount(blocks), [80], 99, seed)
    gap = wide.values[-80:].mean(axis=0) - wide.values[:-80].mean(axis=0)
    observed = 80 * 160 / 240 * float(gap @ gap)
    return permutation_p(observed, wide_samples(wide, blocks, chosen)[:, 0])


def test_false_alarms_keep_their_rate_although_sessions_are_alike() -> None:
    rng = np.random.default_rng(5)
    found = [p_of(rng, *clustered(rng), seed) for seed in range(300)]
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.09
    # The same, were records shuffled instead of sessions: what this guards against.
    naive = []
    for seed in range(100):
        wide, blocks = clustered(rng)
        naive.append(p_of(rng, wide, np.arange(len(blocks)), seed))
    assert np.mean(np.array(naive) <= 0.05) > 0.25


def test_a_selection_takes_whole_sessions_up_to_the_window() -> None:
    sizes = np.array([3, 1, 2, 5, 4])
    for window in (2, 6):
        (chosen,) = selections(sizes, [window], 50, 1)
        taken = chosen @ sizes
        assert set(np.unique(chosen)) <= {0.0, 1.0}
        assert (taken >= window).all()
        assert (taken < window + 5).all()


def test_both_ways_to_a_distance_agree() -> None:
    frame = Frame.of(made_rows(200, seed=1))
    wide = next(one for one in Panel.fit(frame).wide(frame) if one.name == "style")
    sums = np.cumsum(np.vstack((np.zeros(wide.values.shape[1]), wide.values.reshape(20, 10, -1).sum(axis=1))), axis=0)
    present = np.cumsum(np.concatenate(([0], wide.present.reshape(20, 10).sum(axis=1))))
    (found,) = window_distances(sums, present, [50], 10)
    gap = wide.values[-50:].mean(axis=0, dtype=float) - wide.values[:-50].mean(axis=0, dtype=float)
    assert np.isclose(found, 50 * 150 / 200 * gap @ gap)


def test_session_sums_are_sums() -> None:
    blocks = np.array([0, 1, 0, 2, 1])
    for width in (3, 400):
        values = np.arange(5 * width, dtype=np.float32).reshape(5, width)
        assert (
            session_sums(values, blocks) == np.stack([values[[0, 2]].sum(0), values[[1, 4]].sum(0), values[3]])
        ).all()


def test_a_law_turns_a_gamma_into_a_normal() -> None:
    sample = np.random.default_rng(2).gamma(3, size=(20_000, 1))
    scores = Law.of(sample).scores(sample)
    assert abs(scores.mean()) < 0.05
    assert abs(scores.std() - 1) < 0.05
    assert abs((scores**3).mean()) < 0.1


def test_confirm_tells_a_change_from_none() -> None:
    wanted = {"answers", "answered", "style"}
    changed = confirm(Frame.of(made_rows(300, seed=1, change_at=220)), wanted, 1)
    same = confirm(Frame.of(made_rows(300, seed=1)), wanted, 1)
    assert min(changed.p.values()) < 1e-6
    assert changed.windows["answered"] == 80
    assert min(same.p.values()) > 0.01


def test_products_are_made_by_one_thread_and_the_others_come_back() -> None:
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    assert set(one_thread(threads)()) == {1}
    assert threads() == before


def test_the_newest_rows_are_added_up_window_by_window() -> None:
    rows = np.random.default_rng(1).normal(size=(137, 3)).astype(np.float32)
    sums, total = _newest(rows, [20, 30, 100])
    assert np.allclose(sums, [rows[-w:].sum(axis=0, dtype=np.float64) for w in (20, 30, 100)])
    assert np.allclose(total, rows.sum(axis=0, dtype=np.float64))
