"""What laws say of how long records of AI decisions are kept: data, dated, to be found by and not to replace the law.

A floor is what nobody may go below; the default is what is proposed. Days, so that no month is short.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FLOOR_DAYS = 184  # six months, whatever the class: the database holds everybody to it (migration 0009)
AS_OF = "2026-11"


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """A duty to keep."""

    id: str
    title: str
    floor_days: int
    default_days: int
    source: str


CLASSES: Mapping[str, RetentionClass] = {
    one.id: one
    for one in (
        RetentionClass("ai_act_logs", "Logs of an AI system", 184, 396, "AI Act, Articles 19(1) and 26(6): six months"),
        RetentionClass("business_credit_us", "Business credit decisions, US", 366, 396, "12 CFR 1002.12(b): 12 months"),
        RetentionClass("credit_us", "Consumer credit decisions, US", 762, 762, "12 CFR 1002.12(b): 25 months"),
        RetentionClass("broker_dealer_us", "Broker-dealer records, US", 2_192, 2_192, "17 CFR 240.17a-4(a): six years"),
        RetentionClass("documentation", "As technical documentation", 3_653, 3_653, "AI Act, Article 18: ten years"),
    )
}
