"""Signatures hold by the specification's vector and by its reference implementation."""

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tenants.webhooks.signing import headers, new_secret, signature

BODY = b'{"test": 2432232314}'


def test_the_vector_of_the_specification() -> None:
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert signature(secret, message, 1614265330, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_long_enough_and_no_two_are_alike() -> None:
    one, other = new_secret(), new_secret()
    assert 24 <= len(base64.b64decode(one.removeprefix("whsec_"))) <= 64
    assert one != other


def test_both_secrets_verify_while_one_replaces_the_other() -> None:
    old, new = new_secret(), new_secret()
    sent = headers([new, old], "msg_1", int(time.time()), BODY)
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, sent) == {"test": 2432232314}


@pytest.mark.parametrize(
    ("body", "late", "secret"),
    [(BODY + b" ", 0, None), (BODY, 600, None), (BODY, 0, new_secret())],
    ids=["another body", "long ago", "another secret"],
)
def test_what_was_not_sent_does_not_verify(body: bytes, late: int, secret: str | None) -> None:
    ours = new_secret()
    sent = headers([ours], "msg_1", int(time.time()) - late, BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret or ours).verify(body, sent)
