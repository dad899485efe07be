"""A receiver on this machine, which the operator has opened."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.tenants.webhooks.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running, override_settings(AFFIDAVIT_WEBHOOK_NETWORKS=["127.0.0.0/8", "::1/128"]):
        yield running
