"""Logistic regression: few weights, learned by our own script (`traces.meaning.training`), shipped as JSON. Pure."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Linear:
    """p = σ(bias + weights · features). `about` says where it comes from and how well it does on what it never saw."""

    weights: Vector
    bias: float
    about: dict[str, Any]

    def probability(self, features: NDArray[Any]) -> float:
        """The probability of the label for one row of features."""
        z = float(np.dot(self.weights, features)) + self.bias
        return float(1 / (1 + np.exp(-np.clip(z, -30, 30))))

    def dump(self) -> str:
        """As JSON; six digits are more than the data knows."""
        weights = [float(f"{value:.6g}") for value in self.weights]
        return json.dumps({"about": self.about, "bias": float(f"{self.bias:.6g}"), "weights": weights}, indent=1) + "\n"

    @classmethod
    def load(cls, name: str) -> "Linear":
        """A model that ships with the package, by the name of its file."""
        document = json.loads((WEIGHTS / f"{name}.json").read_text())
        return cls(np.asarray(document["weights"], np.float64), document["bias"], document["about"])


def fit(rows: NDArray[Any], labels: NDArray[Any], penalty: float, steps: int = 40) -> Linear:
    """Newton's method on the penalised likelihood: n × k features, n labels of 0 and 1. The bias is not penalised."""
    x = np.hstack([np.asarray(rows, np.float64), np.ones((len(rows), 1))])
    w = np.zeros(x.shape[1])
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        gradient = x.T @ (p - labels) + ridge * w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        w -= step
        if np.abs(step).max() < 1e-6:
            break
    return Linear(w[:-1], float(w[-1]), {})
