"""Scheduled work of the instance, over all tenants and apps."""

from datetime import UTC, datetime

from celery import shared_task

from config import metrics


@shared_task
def measure() -> int:
    """What waits, for `/metrics`."""
    return metrics.measure(datetime.now(UTC))


@shared_task
def measure_heads() -> int:
    """Whether the newest heads hold, for `/metrics`."""
    return metrics.measure_heads(datetime.now(UTC))
