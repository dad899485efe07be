"""Mistakes caught at the start."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error

from audits.certificates import trouble


def check_report_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The key and certificate of reports belong together, can be read and are in their time."""
    why = trouble()
    return [Error(why, hint="See “Keys” in docs/operations.md.", id="audits.E001")] if why else []
