"""E1: canaries in every place that takes a person's data leave no trace after erasure, wherever one looks."""

from unittest import mock

from audits.erasing import run_erasure
from tests.audits.canaries import PLACES, plant, sightings
from tests.factories.erasures import approved, as_worker, erased
from tests.factories.tenants import Cast


def test_canaries_leave_no_trace(cast: Cast) -> None:
    """E1: all are found before, none after."""
    bird = plant(cast)
    before = sightings(cast, bird)
    assert set(before) == set(PLACES)
    erased(cast, bird["subject"], batch=2)
    assert sightings(cast, bird) == {}


def test_the_search_sees_what_an_erasure_forgets(cast: Cast) -> None:
    """E1: with one step left out, its canary is found."""
    bird = plant(cast, 1)
    row = approved(cast, bird["subject"])
    with as_worker(), mock.patch("traces.erasing.redact_events", return_value=0):
        run_erasure(cast.tenant.pk, row.pk)
    assert sightings(cast, bird) == {"subject": {"tenants_ledgerevent.body"}}
