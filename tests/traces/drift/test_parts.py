"""The smaller parts: words, style, onset, causes, evidence, budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.drift.made import made_rows
from traces.drift import evidence, style, words
from traces.drift.causes import moved, transitions
from traces.drift.channels import Panel, probit
from traces.drift.frame import Frame, running
from traces.drift.monitor import MEMORY, sample_sessions
from traces.drift.observation import field_words, observe
from traces.drift.onset import leaning, locate
from traces.import_formats import stream


def test_the_same_text_is_the_same_vector_for_ever() -> None:
    """Changing this needs a new `VECTOR_VERSION`: stored baselines compare within one version only."""
    found = words.vector(words.tokens("May I borrow 5,000? Yes, you may."))
    assert words.VECTOR_VERSION == 1
    assert [int(i) for i in np.flatnonzero(found)[:4]] == PLACES
    assert np.isclose(found @ found, 1, atol=2e-3)
    assert (words.vector([]) == 0).all()


PLACES = [26, 121, 132, 141]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_finite_whole_features(text: str) -> None:
    found = words.tokens(text)
    for vector in (words.vector(found), style.style(text, found)):
        assert np.isfinite(vector).all()
        assert (np.rint(vector * words.UNIT) == vector * words.UNIT).all()


def test_words_are_counted_whole_and_beyond_what_is_hashed() -> None:
    places = [style.NAMES.index(name) for name in ("first person", "second person", "hedges", "reasoning words")]
    text = "I may tell you: it depends. So myself, yourselves, maybe." + " word" * 200
    n = len(words.tokens(text))
    assert np.allclose(style.style(text, words.tokens(text))[places], np.array([20, 20, 40, 20]) / n, atol=1e-3)
    long = "x" * words.MAX_CHARACTERS + " you"
    assert style.style(long, words.tokens(long))[places[1]] == 1.0


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("It is not appropriate to ask this.", True),
        ("Kill the process with `kill -9`.", False),
        ("Sorry I am late: the answer is 42.", False),
    ],
)
def test_refusals_are_known_by_their_words(text: str, refused: bool) -> None:
    assert style.refuses(text) == refused


def test_structured_inputs_become_words_of_their_magnitude() -> None:
    assert list(field_words({"a": "x", "n": 1000, "m": 1010, "yes": True})) == ["a=x", "n~20", "m~20", "yes=True"]


def test_an_imported_line_is_observed_whole() -> None:
    line = {
        "deployment": "d", "timestamp": "2026-03-02T00:00:00Z", "id": "1", "model": "m", "prompt_version": "p1",
        "policy_version": "v1", "segment": "eu", "input_messages": [{"role": "user", "content": "Hi?"}],
        "output": "I'm sorry.", "input_tokens": 3, "output_tokens": 4, "latency_ms": 80, "feedback": 1,
        "policy_triggers": ["pii"], "finish_reason": "stop",
    }  # fmt: skip
    seen = observe(stream(line), identity="1", at=0.0)
    assert seen.versions == {"model": "m", "prompt": "p1", "policy": "v1"}
    assert seen.labels == {"refusal:yes", "trigger:pii", "feedback:1", "finish:stop"}
    assert seen.scalars["pace"] == 20
    assert (seen.asked, seen.segment) == ("Hi?", "eu")


def test_probit_is_the_inverse_of_the_normal() -> None:
    found = probit(np.array([0.5, 0.975, 0.0035, 0.999]))
    assert np.allclose(found, [0, 1.959964, -2.696844, 3.090232], atol=1e-5)


def test_a_step_is_found_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(1)
    covered, errors = [], []
    for _ in range(60):
        found = locate(rng.standard_normal(300) + 1.5 * (np.arange(300) >= 170), "x")
        covered.append(found.low <= 170 <= found.high)
        errors.append(abs(found.index - 170))
    assert np.mean(covered) >= 0.9
    assert np.median(errors) <= 3


def test_leaning_leaves_each_row_out() -> None:
    noise = np.random.default_rng(2).standard_normal((200, 400)).astype(np.float32)
    found = leaning(noise, np.ones(200, dtype=np.float32), 100)
    assert abs(found[:100].mean() - found[100:].mean()) < 4 * found.std() / np.sqrt(50)


def test_only_what_moved_is_said_to_have_moved() -> None:
    frame = Frame.of(made_rows(300, seed=2, change_at=200))
    panel, wides = Panel.fitted(frame)
    shifts = moved(frame, wides, panel.narrow(frame), 200, 1)
    assert max(shifts["answered"], shifts["style"]) < 1e-3
    assert min(shifts["asked"], shifts["latency"], shifts["trigger:x"]) > 1e-3


@pytest.mark.parametrize("without", [0, 40])
def test_what_a_fit_makes_on_its_way_is_what_the_panel_says(without: int) -> None:
    frame = Frame.of(made_rows(300, seed=4))
    frame.has_text[:without] = False
    panel, wides = Panel.fitted(frame)
    for made, said in zip(wides, panel.wide(frame), strict=True):
        assert made.name == said.name
        assert (made.values == said.values).all()
        assert (made.present == said.present).all()


def test_running_sums_are_cumsum() -> None:
    rows = np.random.default_rng(1).standard_normal((50, 7))
    assert np.allclose(running(rows, np.zeros(rows.shape)), rows.cumsum(axis=0))
    assert np.allclose(running(rows[:, 0], np.zeros(50)), rows[:, 0].cumsum())
    assert running(rows[:0], np.zeros((0, 7))).shape == (0, 7)


def test_transitions_tell_lasting_changes_of_version() -> None:
    (found,) = transitions(made_rows(200, seed=1, change_at=120, new_model="m2"))
    assert (found.field, found.old, found.new, found.index, found.share) == ("model", "m", "m2", 120, 1.0)


def test_words_tell_what_came_and_what_went() -> None:
    found = evidence.telling_words([["please", "wait"]] * 20, [["certainly", "wait"]] * 20)
    assert [(word.text, word.before, word.after) for word in found] == [("certainly", 0, 1), ("please", 1, 0)]
    assert evidence.telling_words([["jane"]] * 3, [["ok"]] * 3) == []


def test_a_price_is_no_channel() -> None:
    frame = Frame.of(made_rows(200, seed=1))
    assert not any(name.startswith("cost") for name in Panel.fit(frame).narrow(frame).names)


def test_memory_keeps_whole_sessions_whatever_the_order() -> None:
    rows = made_rows(600, seed=1)
    kept = sample_sessions(rows, 100)
    sessions = {row.seen.session for row in kept}
    assert 100 <= len(kept) < 110 < MEMORY
    assert kept == [row for row in rows if row.seen.session in sessions]
    assert {row.seen.id for row in sample_sessions(rows[::-1], 100)} == {row.seen.id for row in kept}
