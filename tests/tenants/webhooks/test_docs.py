"""The page on webhooks shows what works, and names what there is."""

import re
import time

import pytest
from django.urls import reverse

from config.supervisor import ROOT
from tenants.webhooks.catalogue import EventType
from tenants.webhooks.signing import headers, new_secret

PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_the_snippet_verifies_what_we_sign_and_nothing_else() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(source, names)  # noqa: S102  (our own page)
    verify, old, new, body = names["verify"], new_secret(), new_secret(), b'{"type": "x"}'
    assert callable(verify)
    sent = headers([new, old], "msg_1", int(time.time()), body)
    verify(old, sent, body)
    verify(new, sent, body)
    for wrong in ((new_secret(), sent, body), (new, sent, body + b" "), (new, sent | {"webhook-timestamp": "1"}, body)):
        with pytest.raises(ValueError, match=r"not signed|too long"):
            verify(*wrong)


def test_every_type_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)) == set(EventType)


def test_the_addresses_are_the_apis() -> None:
    assert f"$AFFIDAVIT{reverse('api-webhooks')}" in PAGE
