"""Components that a long page repeats in a few forms: rendered once for each form, not once a row."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.template import Library
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = Library()


@register.simple_tag
def component(template: str, **values: Any) -> SafeString:
    """As `{% include template with … only %}`, remembered. For what shows nothing but these values, of which few occur.

    `{% component "components/action.html" action=row.action %}`
    """
    rendered = _rendered.__wrapped__ if settings.DEBUG else _rendered
    return rendered(template, tuple(sorted(values.items())))


@lru_cache(maxsize=1_000)
def _rendered(template: str, values: tuple[tuple[str, Any], ...]) -> SafeString:
    return render_to_string(template, dict(values))
