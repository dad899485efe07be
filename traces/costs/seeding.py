"""Renewing the published price list from the installed package: a whole edition, or nothing where nothing changed."""

import hashlib
from typing import Any

from django.db import connections, transaction
from django.db.models import Max

from tenants.ledger.canonical import dumps
from traces.costs.listing import list_documents
from traces.models.cost import ListPrice

LOCK = 7_301_022  # any number that nobody else locks


def seed_list_prices(*, using: str = "owner", model: Any = ListPrice) -> int:
    """Keep the package's list as the next edition; returns how many prices it has, 0 when it is known already.

    Only the tables' owner may: no process that serves requests can alter what everybody is charged by.
    """
    listed = [(one["provider"], one["model"], dumps(one)) for one in list_documents()]
    digests = [hashlib.sha256(document).digest() for _, _, document in listed]
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        rows = model.objects.using(using)
        newest = rows.aggregate(newest=Max("edition"))["newest"] or 0
        known = rows.filter(edition=newest).order_by("position").values_list("sha256", flat=True)
        if [bytes(digest) for digest in known] == digests:
            return 0
        rows.bulk_create(
            [
                model(edition=newest + 1, position=place, provider=p, model=m, sha256=digests[place], document=document)
                for place, (p, m, document) in enumerate(listed)
            ],
            batch_size=1_000,
        )
    return len(listed)
