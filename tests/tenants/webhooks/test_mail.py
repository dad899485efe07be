"""An event as e-mail, through a real mail server."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.test import override_settings

from config.processes import free_port
from tenants.context import tenant_atomic
from tenants.models import WebhookAttempt
from tenants.webhooks import sending, services
from tenants.webhooks.services import EndpointTerms
from tests.factories.tenants import Cast

SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # the test runner's own would send nothing


class Mailbox:
    """What came in, beside to whom; `refusal` answers instead of taking it."""

    def __init__(self) -> None:
        self.refusal = ""
        self.came: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusal:
            return self.refusal
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.came.append((envelope.rcpt_tos, message))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    with override_settings(EMAIL_BACKEND=SMTP_BACKEND, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port, EMAIL_USE_TLS=False):
        yield box
    controller.stop()


def pinged(cast: Cast) -> None:
    terms = EndpointTerms("Operations", "ops@example.com", kind="email")
    made = services.create_endpoint(by=cast.owner, terms=terms)
    services.ping_endpoint(by=cast.owner, pk=made.row.pk)
    assert sending.send_due([cast.tenant.pk]) == 1


def test_an_event_arrives_as_a_letter(cast: Cast, mailbox: Mailbox) -> None:
    pinged(cast)
    ((recipients, message),) = mailbox.came
    assert recipients == ["ops@example.com"]
    assert message["Subject"] == "A test from Affidavit"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].startswith("<msg_")
    assert "“Operations” is reached" in message.get_content()


def test_a_mail_server_that_refuses_is_told_on_the_page_and_asked_again(cast: Cast, mailbox: Mailbox) -> None:
    mailbox.refusal = "451 try later"
    pinged(cast)
    with tenant_atomic(cast.tenant.pk):
        attempt = WebhookAttempt.objects.select_related("delivery").get()
    assert "try later" in attempt.detail
    assert attempt.delivery.state == "waiting"
