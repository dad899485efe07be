"""An address that no row can have is refused, not asked for."""

import pytest
from django.test import Client

from tests.factories.tenants import Cast


@pytest.mark.parametrize("path", ["decisions/?q=%00", "usage/?system=a%00b", "cases/?state=%00", "%00"])
def test_a_page(cast: Cast, path: str) -> None:
    client = Client()
    client.force_login(cast.people["owner"])
    answer = client.get(f"/t/{cast.tenant.slug}/{path}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain")
    assert client.get(f"/t/{cast.tenant.slug}/{path.replace('%00', 'x')}").status_code in {200, 404}


@pytest.mark.parametrize("path", ["decisions?system=%00", "cost/summary?from=%00", "cases?state=%00"])
def test_the_api(cast: Cast, path: str) -> None:
    answer = Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"}).get(f"/api/v1/{path}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
