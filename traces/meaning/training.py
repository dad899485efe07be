"""Learns the refusal weights from XSTest's human labels: `python -m traces.meaning.training <folder of xstest>`.

The folder holds `<model>.jsonl.gz` with `id`, `completion` and `final_label` (1_full_compliance, 2_full_refusal,
3_partial_refusal; CC BY 4.0, Röttger et al.). Only weights leave this script, never a text. Every figure it states is
of answers held out: five folds that keep all answers to one prompt together, and each model's answers by weights that
never saw that model.
"""

import gzip
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.meaning.encoder import SHA256, encode
from traces.meaning.linear import WEIGHTS, fit
from traces.meaning.refusals import THRESHOLD, VERSION, features

FOLDS = 5
PENALTY = {"refusal": 1.0, "deflection": 3.0}


def read(folder: Path) -> list[dict[str, Any]]:
    """Every labelled answer, with the name of the model that gave it."""
    rows = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows += [json.loads(line) | {"model": path.name.split(".")[0]} for line in file]
    return rows


def held_out(
    x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], penalty: float, learn_from: Callable[[Any], NDArray[Any]]
) -> NDArray[np.bool_]:
    """What is said of each row by weights that never saw its group; `learn_from(group)` says which rows they saw."""
    said = np.zeros(len(y), bool)
    for group in np.unique(groups):
        model = fit(x[learn_from(group)], y[learn_from(group)], penalty)
        mine = groups == group
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


def learn(rows: Iterable[dict[str, Any]], vectors: NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    """Fit and write both weight files; returns what is stated about them."""
    rows = list(rows)
    x = np.stack([features(row["completion"], vector) for row, vector in zip(rows, vectors, strict=True)])
    labels = np.asarray([int(row["final_label"][0]) for row in rows])
    prompts = np.asarray([row["id"] for row in rows])
    fold = np.asarray([hash_of(str(prompt)) % FOLDS for prompt in prompts])
    models = np.asarray([row["model"] for row in rows])
    stated = {}
    for name, chosen, target in (
        ("refusal", labels > 0, (labels > 1).astype(float)),
        ("deflection", labels > 1, (labels == 3).astype(float)),
    ):
        cx, cy, cf, cm = x[chosen], target[chosen], fold[chosen], models[chosen]
        crossed = held_out(cx, cy, cf, PENALTY[name], lambda group, cf=cf: cf != group)
        unseen = held_out(cx, cy, cm, PENALTY[name], lambda group, cm=cm: cm != group)
        about = {
            "version": VERSION,
            "learned_from": "XSTest human labels (CC BY 4.0)",
            "encoder": SHA256,
            "held_out_prompts": scores(crossed, cy) | {"by_model": by_model(crossed, cy, cm)},
            "held_out_model": by_model(unseen, cy, cm),
        }
        WEIGHTS.mkdir(exist_ok=True)
        (WEIGHTS / f"{name}.json").write_text(replace(fit(cx, cy, PENALTY[name]), about=about).dump())
        stated[name] = about
    return stated


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(text.encode().rjust(8, b"\0")[-8:], "big") * 2654435761 % 2**32 >> 8


def main(folder: str) -> None:
    """Learn, write, print the figures."""
    rows = read(Path(folder))
    print(json.dumps(learn(rows, encode([row["completion"] for row in rows])), indent=1))  # noqa: T201  a command


if __name__ == "__main__":
    main(sys.argv[1])
