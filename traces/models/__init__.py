"""Decision records and what is derived from them."""

from traces.models.decision import Decision, DecisionPayload, Deployment, ModelVersion, PolicyMatch, RuleHit, Submission
from traces.models.sources import SequenceGap, SequenceWatermark

__all__ = [
    "Decision",
    "DecisionPayload",
    "Deployment",
    "ModelVersion",
    "PolicyMatch",
    "RuleHit",
    "SequenceGap",
    "SequenceWatermark",
    "Submission",
]
