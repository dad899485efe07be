"""From an event to a real server that verifies it: once, again, or never; and nothing of another tenant."""

import os
import signal
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from tenants.context import tenant_atomic
from tenants.models import DeliveryState, LedgerEvent, Notification, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tenants.webhooks import retention, sending, services
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish
from tenants.webhooks.schedule import MOST_ATTEMPTS, TRIES_FIRST
from tenants.webhooks.services import EndpointTerms, NewSecret
from tests.factories.tenants import Cast
from tests.tenants.webhooks.receiver import Receiver


def told(cast: Cast, receiver: Receiver, **more: Any) -> NewSecret:
    """An endpoint at the receiver."""
    return services.create_endpoint(by=cast.owner, terms=EndpointTerms("Us", receiver.url, **more))


def happen(cast: Cast, event_id: uuid.UUID | None = None, kind: EventType = EventType.DRIFT_NOTICED) -> int:
    notice = Notice(kind, datetime.now(UTC), "Something", data={"alert": "a-1"})
    with tenant_atomic(cast.tenant.pk):
        return publish(notice, event_id=event_id or uuid.uuid4())


def round_of(cast: Cast, later: timedelta = timedelta()) -> int:
    return sending.send_due([cast.tenant.pk], datetime.now(UTC) + later)


def the_delivery(cast: Cast) -> WebhookDelivery:
    with tenant_atomic(cast.tenant.pk):
        return WebhookDelivery.objects.get()


def the_endpoint(cast: Cast) -> WebhookEndpoint:
    with tenant_atomic(cast.tenant.pk):
        return WebhookEndpoint.objects.get()


def tries(cast: Cast) -> list[tuple[int | None, str]]:
    with tenant_atomic(cast.tenant.pk):
        return list(WebhookAttempt.objects.order_by("number").values_list("status", "detail"))


def test_an_event_arrives_once_and_verifies(cast: Cast, receiver: Receiver) -> None:
    secret = told(cast, receiver).secret
    event_id = uuid.uuid4()
    assert [happen(cast, event_id) for _ in range(2)] == [1, 1]
    assert [round_of(cast) for _ in range(2)] == [1, 0]
    (got,) = receiver.got
    assert got.verified(secret)["data"]["alert"] == "a-1"
    assert got.headers["webhook-id"] == f"msg_{event_id.hex}"
    assert the_delivery(cast).state == DeliveryState.DELIVERED
    assert tries(cast) == [(204, "")]


def test_what_did_not_happen_is_not_told(cast: Cast, receiver: Receiver) -> None:
    told(cast, receiver)
    with tenant_atomic(cast.tenant.pk):
        publish(Notice(EventType.DRIFT_NOTICED, datetime.now(UTC), "x"), event_id=uuid.uuid4())
        transaction.set_rollback(True)
    assert round_of(cast) == 0


def test_an_endpoint_is_told_of_what_it_wants(cast: Cast, stranger: Cast, receiver: Receiver) -> None:
    told(cast, receiver, event_types=[EventType.BUDGET_ALERT])
    told(stranger, receiver)
    assert happen(cast) == 0
    assert happen(cast, kind=EventType.BUDGET_ALERT) == 1
    assert round_of(stranger) == 0


def test_a_failure_is_tried_again_under_the_same_id(cast: Cast, receiver: Receiver) -> None:
    secret = told(cast, receiver).secret
    receiver.answers = [(500, {}, b"not now"), (200, {}, b"ok")]
    happen(cast)
    assert [round_of(cast), round_of(cast), round_of(cast, timedelta(seconds=7))] == [1, 0, 1]
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert second.verified(secret) == first.verified(secret)
    assert tries(cast) == [(500, "not now"), (200, "ok")]
    assert the_endpoint(cast).failing_since is None


def test_after_the_last_try_it_is_given_up_and_can_be_sent_by_hand(cast: Cast, receiver: Receiver) -> None:
    told(cast, receiver)
    receiver.answers = [*([(503, {}, b"")] * MOST_ATTEMPTS), (200, {}, b"")]
    happen(cast)
    assert [round_of(cast, timedelta(days=2 * n)) for n in range(MOST_ATTEMPTS + 1)] == [1] * MOST_ATTEMPTS + [0]
    row = the_delivery(cast)
    assert row.state == DeliveryState.GIVEN_UP
    services.resend(by=cast.owner, pk=row.pk)
    assert round_of(cast) == 1
    assert the_delivery(cast).state == DeliveryState.DELIVERED
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_the_old_secret_signs_too_until_its_day_is_over(cast: Cast, receiver: Receiver) -> None:
    made = told(cast, receiver)
    new = services.rotate_secret(by=cast.owner, pk=made.row.pk).secret
    for later in (timedelta(), timedelta(days=1, minutes=1)):
        happen(cast)
        round_of(cast, later)
    during, after = receiver.got
    assert during.verified(made.secret) == during.verified(new)
    assert after.verified(new)
    assert len(after.headers["webhook-signature"].split()) == 1


@pytest.mark.parametrize("status", [410, 500])
def test_an_endpoint_that_is_gone_or_only_fails_is_disabled(cast: Cast, receiver: Receiver, status: int) -> None:
    told(cast, receiver)
    receiver.answers = [(status, {}, b"")]
    if status == 500:
        with tenant_atomic(cast.tenant.pk):
            WebhookEndpoint.objects.update(failing_since=datetime.now(UTC) - timedelta(days=5))
    happen(cast)
    tries_needed = 1 if status == 410 else TRIES_FIRST
    for n in range(tries_needed):
        assert the_endpoint(cast).is_enabled
        round_of(cast, timedelta(days=2 * n))
    assert not the_endpoint(cast).is_enabled
    assert happen(cast) == 0
    assert round_of(cast, timedelta(days=9)) == 0
    with tenant_atomic(cast.tenant.pk):
        assert Notification.objects.filter(event_type="webhook_endpoint.disabled").count() == 1
        assert LedgerEvent.objects.filter(tag="webhook_endpoint.disabled", actor="system:webhooks").count() == 1


def test_a_sender_that_is_killed_has_lost_nothing(cast: Cast, receiver: Receiver) -> None:
    told(cast, receiver)
    happen(cast)
    receiver.answers, receiver.drip = [(200, {}, b"x" * 100)], 0.2
    kept = [connection.connection for connection in connections.all()]
    child = os.fork()
    if not child:  # a worker of its own, with connections of its own
        for connection in connections.all():
            connection.connection = None
        round_of(cast)
        os._exit(0 if kept else 1)
    assert receiver.arrived.wait(10)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    receiver.drip = 0
    assert (the_delivery(cast).state, the_delivery(cast).n_attempts, tries(cast)) == (DeliveryState.WAITING, 1, [])
    assert [round_of(cast), round_of(cast, sending.LEASE + timedelta(seconds=1))] == [0, 1]
    assert the_delivery(cast).state == DeliveryState.DELIVERED
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_one_that_fails_does_not_take_the_others_turn(cast: Cast, receiver: Receiver) -> None:
    told(cast, receiver)
    receiver.answers = [(500, {}, b"")]
    for _ in range(12):
        happen(cast)
    assert [round_of(cast), round_of(cast)] == [sending.AN_ENDPOINT, 1]


def test_what_is_old_or_too_much_is_forgotten_with_its_tries(
    cast: Cast, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(cast, receiver)
    monkeypatch.setattr(retention, "MOST_KEPT", 3)
    for _ in range(5):
        happen(cast)
    round_of(cast)
    assert retention.forget_deliveries(cast.tenant.pk) == 2
    assert len(tries(cast)) == 3
    assert retention.forget_deliveries(cast.tenant.pk, datetime.now(UTC) + timedelta(days=31)) == 3
    assert tries(cast) == []


def test_no_role_of_the_product_changes_a_try() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('tenants_webhookattempt', 'UPDATE')")
        assert cursor.fetchone() == (False,)
