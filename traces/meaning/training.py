"""Learns the weights that ship: `python -m traces.meaning.training <folder of xstest> <folder of arena_hard>`.

Refusals: XSTest's human labels (CC BY 4.0, Röttger et al.), `<model>.jsonl.gz` with `id`, `prompt`,
`completion` and `final_label`; full and partial refusals count as declined, as an auditor would count them. Telling
one from the other was tried and left out: recall .37 at a precision of .57 would mislead.

Relevance and groundedness: calibrated on pairs made from arena-hard (Apache-2.0). Relevant: an answer with its own
question; not: with another's. Supported: a sentence of the context with a third of its words lost and the rest in
their order; not: a sentence of an answer to another question. Constructed pairs are easier than life: the scores order
answers well, and their probabilities are to be read as such.

Only weights leave this script, never a text. Every figure it states is of what was held out: five folds that keep
together all that belongs to one prompt; for refusals also each model's answers by weights that never saw that model.
"""

import gzip
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.meaning.encoder import SHA256, encode
from traces.meaning.grounding import MOST_SENTENCES, sentences, support_features
from traces.meaning.linear import WEIGHTS, Linear, fit
from traces.meaning.refusals import THRESHOLD, deflects, features

FOLDS = 5
PENALTY = 1.0
MOST_PAIRS, MOST_SUPPORT = 300, 120


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read(folder: Path) -> list[dict[str, Any]]:
    """Every labelled answer, with the name of the model that gave it."""
    return [
        row | {"model": path.name.split(".")[0]} for path in sorted(folder.glob("*.jsonl.gz")) for row in lines(path)
    ]


def held_out(x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], penalty: float) -> NDArray[np.bool_]:
    """What is said of each row by weights that never saw its group."""
    said = np.zeros(len(y), bool)
    for group in np.unique(groups):
        mine = groups == group
        model = fit(x[~mine], y[~mine], penalty)
        said[mine] = [model.probability(row) >= THRESHOLD for row in x[mine]]
    return said


def scores(said: NDArray[Any], true: NDArray[Any]) -> dict[str, float]:
    """Recall, precision and how many."""
    hits = float((said & (true == 1)).sum())
    recall, precision = hits / max(float((true == 1).sum()), 1), hits / max(float(said.sum()), 1)
    return {"recall": round(recall, 3), "precision": round(precision, 3), "n": len(true)}


def by_model(said: NDArray[Any], true: NDArray[Any], models: NDArray[Any]) -> dict[str, dict[str, float]]:
    """The scores of each model's answers."""
    return {str(name): scores(said[models == name], true[models == name]) for name in np.unique(models)}


def learn_refusals(
    rows: Sequence[dict[str, Any]], asked: NDArray[np.float32], answered: NDArray[np.float32]
) -> dict[str, Any]:
    """Fit and write the weights of `refusals`; returns what is stated about them."""
    x = np.stack(
        [features(row["prompt"], row["completion"], *pair) for row, *pair in zip(rows, asked, answered, strict=True)]
    )
    y = np.asarray([float(row["final_label"][0] != "1") for row in rows])
    fold = np.asarray([hash_of(str(row["id"])) % FOLDS for row in rows])
    models = np.asarray([row["model"] for row in rows])
    crossed, unseen = held_out(x, y, fold, PENALTY), held_out(x, y, models, PENALTY)
    about = {
        "learned_from": "XSTest human labels (CC BY 4.0)",
        "held_out_prompts": scores(crossed, y) | {"by_model": by_model(crossed, y, models)},
        "held_out_model": by_model(unseen, y, models),
        "deflection_made": deflection(rows, asked, answered),
    }
    return write("refusal", replace(fit(x, y, PENALTY), about=about))


def deflection(
    rows: Sequence[dict[str, Any]], asked: NDArray[np.float32], answered: NDArray[np.float32]
) -> dict[str, float]:
    """How well an answer to another question is told from one to its own: complying answers, each with both.

    There are no human labels of deflection here; made pairs are easier than life.
    """
    kept = [index for index, row in enumerate(rows) if row["final_label"][0] == "1"]
    relevance = Linear.load("relevance")
    own = [(index, index) for index in kept]
    foreign = [(index, kept[(place + 31) % len(kept)]) for place, index in enumerate(kept)]
    said = [
        deflects(rows[index]["completion"], relevance.probability(np.array([asked[other] @ answered[index]])))
        for index, other in own + foreign
    ]
    return scores(np.asarray(said), np.asarray([0.0] * len(own) + [1.0] * len(foreign)))


def write(name: str, model: Linear) -> dict[str, Any]:
    """Ship a model; returns what is stated about it."""
    about = {"encoder": SHA256} | model.about
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / f"{name}.json").write_text(replace(model, about=about).dump())
    return about


def learn_relevance(asked: NDArray[np.float32], answered: NDArray[np.float32]) -> dict[str, Any]:
    """From vectors of questions and of their answers, row by row; each answer is also given a wrong question."""
    n = len(asked)
    right, wrong = (asked * answered).sum(axis=1), (np.roll(asked, 7, axis=0) * answered).sum(axis=1)
    x = np.concatenate([right, wrong])[:, None]
    y = np.concatenate([np.ones(n), np.zeros(n)])
    fold = np.tile(np.arange(n) % FOLDS, 2)
    about = {"learned_from": "arena-hard, own and foreign questions", "held_out": scores(held_out(x, y, fold, 0.01), y)}
    return write("relevance", replace(fit(x, y, 0.01), about=about))


def sentence_pairs(answers: Sequence[str], rng: random.Random) -> list[tuple[int, str, list[str], float]]:
    """(fold, sentence, context, whether it is supported), two an answer."""
    split = [said for text in answers if len(said := sentences(text)) >= 4]
    pairs = []
    for index, found in enumerate(split):
        context = found[:MOST_SENTENCES]
        kept = [word for word in rng.choice(context).split() if rng.random() > 1 / 3]
        foreign = rng.choice(split[(index + 11) % len(split)][:MOST_SENTENCES])
        pairs += [(index % FOLDS, " ".join(kept), context, 1.0), (index % FOLDS, foreign, context, 0.0)]
    return [pair for pair in pairs if len(pair[1].split()) >= 3]


def learn_support(answers: Sequence[str], encode_texts: Callable[[Sequence[str]], Any]) -> dict[str, Any]:
    """Fit and write the weights of groundedness from the sentences of answers."""
    pairs = sentence_pairs(answers, random.Random(5))  # noqa: S311  reproducible, not secret
    rows = []
    for _, sentence, context, _ in pairs:
        vectors = encode_texts([sentence, *context])
        rows.append(support_features(sentence, vectors[0], context, vectors[1:]))
    x, y = np.stack(rows), np.asarray([pair[3] for pair in pairs])
    crossed = held_out(x, y, np.asarray([pair[0] for pair in pairs]), 0.1)
    about = {"learned_from": "arena-hard, sentences with words lost and foreign ones", "held_out": scores(crossed, y)}
    return write("support", replace(fit(x, y, 0.1), about=about))


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(text.encode().rjust(8, b"\0")[-8:], "big") * 2654435761 % 2**32 >> 8


def main(xstest: str, arena: str) -> None:
    """Learn, write, print the figures."""
    rows = read(Path(xstest))
    questions = {row["uid"]: row["prompt"] for row in lines(Path(arena) / "questions.jsonl.gz")}
    pairs = [(questions[row["uid"]], row["output"]) for row in lines(Path(arena) / "gpt-4-0613.jsonl.gz")][:MOST_PAIRS]
    stated = {
        "refusal": learn_refusals(
            rows, encode([row["prompt"] for row in rows]), encode([row["completion"] for row in rows])
        ),
        "relevance": learn_relevance(encode([asked for asked, _ in pairs]), encode([answer for _, answer in pairs])),
        "support": learn_support([answer for _, answer in pairs][:MOST_SUPPORT], encode),
    }
    print(json.dumps(stated, indent=1))  # noqa: T201  a command


if __name__ == "__main__":
    main(*sys.argv[1:3])
