"""Other people's detectors on the same records as ours: ADWIN (river) and Evidently, by their own defaults.

Both are optional (`pip install .[beside]`; Evidently brings a gigabyte): what is absent is named and left out. They are
given what they are made for, which is numbers and categories: tokens, length, latency, refusals, triggers. Neither has
a notion of sessions, of many looks, or of texts in this form (Evidently's text drift takes seconds a check).
"""

import importlib.util
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traces.drift.frame import Row

WARM_UP = 200  # as for ours
BLOCK = 100  # records that Evidently compares with the first `WARM_UP`, one block after the other
Detector = Callable[[Sequence[Row]], int | None]


def numbers(row: Row) -> dict[str, float]:
    """The columns of a record that both are given."""
    seen = row.seen
    scalars = {name: math.log1p(value) for name, value in seen.scalars.items() if name != "cost" and value >= 0}
    found = scalars | {"score": seen.scalars["score"]} if "score" in seen.scalars else scalars
    found["refusal"] = float("refusal:yes" in seen.labels)
    found["trigger"] = float(any(label.startswith("trigger:") for label in seen.labels))
    if row.features.has_text:
        found["length"] = float(row.features.style[0])
    return found


def adwin(rows: Sequence[Row]) -> int | None:
    """Records until the first of river's ADWINs (delta .002, one a column) speaks after the warm-up."""
    from river.drift import ADWIN

    watches: dict[str, Any] = {}
    for index, row in enumerate(rows, 1):
        for name, value in numbers(row).items():
            watch = watches.setdefault(name, ADWIN())
            watch.update(value)
            if watch.drift_detected and index > WARM_UP:
                return index
    return None


def _blocks(rows: Sequence[Row]) -> Iterator[tuple[int, Mapping[str, bool]]]:
    """By block: how many records in, and which columns drifted by Evidently's default tests."""
    import pandas
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    table = pandas.DataFrame([numbers(row) for row in rows])
    kept = [name for name in table if table[name][:WARM_UP].notna().sum() > 20]
    definition = DataDefinition(numerical_columns=kept)
    reference = Dataset.from_pandas(table[:WARM_UP][kept], data_definition=definition)
    for end in range(WARM_UP + BLOCK, len(table) + 1, BLOCK):
        current = Dataset.from_pandas(table[end - BLOCK : end][kept].reset_index(drop=True), data_definition=definition)
        found = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
        by_column = {one["config"]["column"]: one for one in found if "column" in one["config"]}
        yield end, {name: _drifted(one) for name, one in by_column.items()}


def _drifted(metric: Mapping[str, Any]) -> bool:
    """By its own threshold: a p below, or a distance above."""
    value, config = float(metric["value"]), metric["config"]
    threshold = float(config["threshold"])
    return value < threshold if "p_value" in config["method"] else value >= threshold


def evidently_half(rows: Sequence[Row]) -> int | None:
    """Evidently's verdict on a dataset: half of the columns drifted."""
    return next((end for end, drifted in _blocks(rows) if sum(drifted.values()) >= len(drifted) / 2), None)


def evidently_any(rows: Sequence[Row]) -> int | None:
    """Any column drifted: what an alert on each column would say."""
    return next((end for end, drifted in _blocks(rows) if any(drifted.values())), None)


RIVALS: Mapping[str, tuple[str, Detector]] = {
    "ADWIN": ("river", adwin),
    "Evidently, half of the columns": ("evidently", evidently_half),
    "Evidently, any column": ("evidently", evidently_any),
}


@dataclass(slots=True)
class Score:
    """What one of them did with all streams."""

    found: int = 0
    false: int = 0
    changes: int = 0
    streams: int = 0
    delays: list[int] = field(default_factory=list)
    cpu: float = 0.0
    records: int = 0


@dataclass(slots=True)
class Beside:
    """Feed every stream; tells a line for each that is installed."""

    scores: dict[str, Score] = field(default_factory=dict)

    def take(self, truth: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """One stream, by every detector that is here."""
        at = truth["change"]["index"] if truth["change"] else None
        for name, (package, detect) in RIVALS.items():
            if importlib.util.find_spec(package) is None:
                continue
            score = self.scores.setdefault(name, Score())
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                told = detect(rows)
            score.cpu += time.process_time() - began
            score.records += told or len(rows)
            score.streams += 1
            score.changes += at is not None
            early = told is not None and (at is None or told <= at)
            score.false += early
            if told is not None and at is not None and not early:
                score.found += 1
                score.delays.append(told - at)

    def lines(self) -> list[str]:
        """The table, and what is missing from it."""
        told = []
        for name, (package, _) in RIVALS.items():
            score = self.scores.get(name)
            if score is None:
                told.append(f"{name:<32}not installed ({package})")
                continue
            delay = sorted(score.delays)[len(score.delays) // 2] if score.delays else 0
            told.append(
                f"{name:<32}{score.found:>2}/{score.changes} found, {score.false}/{score.streams} streams with a false "
                f"alarm, median delay {delay}, {score.cpu / max(score.records, 1) * 1e6:.0f} ms CPU a 1,000 records"
            )
        return told
