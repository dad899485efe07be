"""Filters that people come back to: saved, shared, taken away. A view is its owner's; a shared one is everybody's."""

import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from traces.models import SavedView
from traces.selectors import DecisionFilter, FilterError

MOST_VIEWS = 50  # of one person


def save_view(*, by: Actor, name: str, query: Mapping[str, str], is_shared: bool) -> SavedView:
    """Keep a filter under a name. Raises `ValidationError` for one that says nothing, or a name that is taken."""
    require(by, "decision.read")
    if by.user_id is None:
        raise PermissionDenied("Views are people's.")
    try:
        kept = urlencode(DecisionFilter.from_query(query).as_dict())
    except FilterError as error:
        raise ValidationError(str(error)) from None
    name = " ".join(name.replace("\0", "").split())[:80]
    if not kept or not name or len(kept) > 2000:
        raise ValidationError("A view has a name and at least one filter.")
    with tenant_atomic(by.tenant_id):
        if SavedView.objects.filter(owner_id=by.user_id).count() >= MOST_VIEWS:
            raise ValidationError(f"You have {MOST_VIEWS} views; remove one first.")
        try:
            with transaction.atomic():
                view = SavedView.objects.create(owner_id=by.user_id, name=name, query=kept, is_shared=is_shared)
        except IntegrityError:
            raise ValidationError(f"You have a view called {name} already.") from None
        append(Tag.VIEW_SAVED, by=by, body={"view": str(view.pk), "is_shared": is_shared}, ref=view.pk)
    return view


def remove_view(*, by: Actor, pk: uuid.UUID) -> None:
    """Take one's own view away; another's is 404."""
    require(by, "decision.read")
    with tenant_atomic(by.tenant_id):
        view = get_row(SavedView.objects.filter(owner_id=by.user_id), pk=pk)
        append(Tag.VIEW_REMOVED, by=by, body={"view": str(view.pk)}, ref=view.pk)
        view.delete()


def views_for(actor: Actor) -> QuerySet[SavedView]:
    """The actor's own and the shared ones, by name. Inside `tenant_atomic`."""
    mine = Q(owner_id=actor.user_id) | Q(is_shared=True)
    return SavedView.objects.filter(mine).select_related("owner").order_by("name", "id")[: 4 * MOST_VIEWS]
