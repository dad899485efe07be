"""How a sample can be drawn: the methods, and the words of their parameters. Pure."""

from dataclasses import dataclass

from django.db import models

OVERRELIANCE = 0.05  # the risk of relying on a control that fails more often than tolerable
MAX_SAMPLE = 10_000


class Method(models.TextChoices):
    ALL = "all", "Every decision"
    EXCEPTIONS = "exceptions", "Every decision by rule, the exceptions by hand"
    ATTRIBUTE = "attribute", "Attribute sample: size computed from the tolerable rate"
    DISCOVERY = "discovery", "Discovery sample: to meet one deviation, if there are so many"
    LOT = "iso2859", "Lot by lot: single sampling of ISO 2859-1"
    STRATIFIED = "stratified", "Stratified sample"
    MONETARY = "monetary", "Monetary-unit sample: in proportion to cost"
    RANDOM = "random", "Random sample of a given size"


# Drawn without a seed: there is nothing to choose.
SEEDLESS = frozenset({Method.ALL, Method.EXCEPTIONS})
# Drawn by rank: the next in rank can stand in for an item that turns out not to be examinable.
RANKED = frozenset({Method.ATTRIBUTE, Method.DISCOVERY, Method.LOT, Method.STRATIFIED, Method.RANDOM})


class Stratify(models.TextChoices):
    """What the members of a stratum have in common."""

    ACTION = "action", "Action taken"
    VERDICT = "verdict", "Verdict of the policies"
    OUTCOME = "outcome", "Outcome"
    ADVERSE = "adverse", "Adverse or not"
    DEPLOYMENT = "deployment", "System, environment, task"
    MODEL = "model", "Model and version"


class Rule(models.TextChoices):
    """What makes a decision an exception, to be examined by hand, where the others are held against the rules only."""

    ACTION = "action", "Its action was not to allow"
    VERDICT = "verdict", "A policy triggered, or could not be evaluated"
    ADVERSE = "adverse", "Its outcome is adverse"
    LATE = "late", "It was submitted late"
    CLAIM = "claim", "It claims another policy set than the one in force"


class SamplingError(ValueError):
    """Parameters for which there is no sample."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many items to examine, and how many deviations the plan still accepts."""

    n: int
    acceptable: int


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the population. `value` is its cost in micro-units, where items are drawn by cost."""

    name: str
    population: int
    size: int
    value: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether each of its members is examined."""
        return self.size == self.population
