"""A tenant's links to other tools: set and removed by who manages sources, shown to who reads decisions."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from traces.models import ApmLink
from traces.trees.apm import Place, TemplateError, check_template, filled

MOST_LINKS = 12


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What a link is to be."""

    name: str
    kind: str
    template: str


def set_apm_link(*, by: Actor, terms: LinkTerms) -> ApmLink:
    """Add a link, or replace the one of that name. Raises `ValidationError` with what is wrong with its address."""
    require(by, "source.manage")
    try:
        check_template(terms.template)
    except TemplateError as error:
        raise ValidationError({"template": str(error)}) from None
    with tenant_atomic(by.tenant_id):
        link = ApmLink.objects.filter(name=terms.name).first()
        if link is None and ApmLink.objects.count() >= MOST_LINKS:
            raise ValidationError({"name": f"There are {MOST_LINKS} links already; remove one first."})
        link = link or ApmLink(name=terms.name)
        link.kind, link.template = terms.kind, terms.template
        _save(link)
        body = {"link": str(link.pk), "name": link.name, "kind": link.kind, "template": link.template}
        append(Tag.APM_LINK_SET, by=by, body=body, ref=link.pk)
    return link


def _save(link: ApmLink) -> None:
    try:
        with transaction.atomic():
            link.save()
    except IntegrityError:
        raise ValidationError({"name": "Somebody added a link of this name just now."}) from None


def remove_apm_link(*, by: Actor, pk: uuid.UUID) -> None:
    """Take a link away, or 404."""
    require(by, "source.manage")
    with tenant_atomic(by.tenant_id):
        link = get_row(ApmLink.objects.all(), pk=pk)
        append(Tag.APM_LINK_REMOVED, by=by, body={"link": str(link.pk), "name": link.name}, ref=link.pk)
        link.delete()


def links_to(trace_id: uuid.UUID | None, span_id: str, at: datetime) -> list[dict[str, Any]]:
    """Where the tenant's other tools show a trace or a span of it: [{label, url}]. Inside `tenant_atomic`."""
    if trace_id is None:
        return []
    place = Place(trace_id.hex, span_id, at)
    return [{"label": link.name, "url": filled(link.template, place)} for link in ApmLink.objects.order_by("name")]
