"""The real encoder: its weights, its two ways, what it is good for, and that no other process loads it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from traces.meaning import encoder, training
from traces.meaning.linear import Linear
from traces.meaning.refusals import features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
XSTEST = Path(os.environ.get("AFFIDAVIT_DATA", "../shared/data")) / "xstest"
TEXTS = ("How do I get my money back for a late parcel?", "¿Dónde está mi paquete?", "x", "loan " * 90, "5,000 €")


def test_the_two_ways_agree() -> None:
    many = encoder.encode(TEXTS)
    ones = np.stack([encoder.encode_one(text) for text in TEXTS])
    assert np.allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    assert (many * ones).sum(axis=1).min() > 0.998  # bfloat16 against float32


def test_what_means_the_same_is_near() -> None:
    asked = encoder.encode_one("My order has not arrived and I want a refund")
    same, other = encoder.encode_one(TEXTS[0]), encoder.encode_one("How tall is the Eiffel tower?")
    assert float(asked @ same) > 0.5
    assert float(asked @ other) < 0.25


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder.model_path.cache_clear()
    monkeypatch.setattr(encoder, "SHA256", "0" * 64)
    with pytest.raises(encoder.WrongModel, match="53aa5117"):
        encoder.model_path()
    monkeypatch.undo()
    encoder.model_path.cache_clear()


def test_neither_the_web_nor_the_celery_parent_loads_torch() -> None:
    code = (
        "import sys, django; django.setup(); from config.celery import app; app.loader.import_default_modules();"
        "import config.urls; from traces.meaning.encoder import encode_one; encode_one('x');"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert told.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.skipif(not XSTEST.exists(), reason="the labels are not here")
def test_refusals_are_found_as_people_labelled_them() -> None:
    """By weights that never saw the prompt; a third of the labels, all of them in `tests.benchmarks.meaning`."""
    rows = training.read(XSTEST)[::3]
    asked, answered = (encoder.encode([row[name] for row in rows]) for name in ("prompt", "completion"))
    pairs = zip(rows, asked, answered, strict=True)
    x = np.stack([features(row["prompt"], row["completion"], q, a) for row, q, a in pairs])
    y = np.asarray([float(row["final_label"][0] != "1") for row in rows])
    fold = np.asarray([training.hash_of(str(row["id"])) % training.FOLDS for row in rows])
    told = training.scores(training.held_out(x, y, fold, training.PENALTY), y)
    assert told["recall"] >= 0.88
    assert told["precision"] >= 0.88
    assert Linear.load("refusal").about["encoder"] == encoder.SHA256
