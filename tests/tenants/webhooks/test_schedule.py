"""Tries are spread over days, and end."""

from datetime import UTC, datetime, timedelta

from tenants.webhooks.schedule import MOST_ATTEMPTS, is_hopeless, next_try

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_each_wait_is_longer_and_the_last_try_is_the_last() -> None:
    waits = []
    for n in range(1, MOST_ATTEMPTS):
        again = next_try(n, NOW)
        assert again is not None
        waits.append(again - NOW)
    assert waits == sorted(waits)
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=6)
    assert timedelta(days=3) < sum(waits, timedelta()) < timedelta(days=4.5)
    assert next_try(MOST_ATTEMPTS, NOW) is None


def test_an_answer_may_ask_for_longer_but_not_for_ever() -> None:
    asked, endless = next_try(1, NOW, 3_600), next_try(1, NOW, 10**7)
    assert asked == NOW + timedelta(hours=1)
    assert endless == NOW + timedelta(days=1)


def test_an_endpoint_that_only_fails_is_given_up_after_days() -> None:
    assert not is_hopeless(NOW - timedelta(days=4, hours=23), NOW, 9)
    assert not is_hopeless(NOW - timedelta(days=5), NOW, 3)
    assert is_hopeless(NOW - timedelta(days=5), NOW, 4)
