"""One event in the words of a program, a chat and a mailbox."""

from datetime import UTC, datetime

import orjson

from tenants.webhooks.catalogue import CHOOSABLE, LABELS, EventType, Notice
from tenants.webhooks.formats import letter, payload, slack

NOTICE = Notice(
    EventType.DRIFT_NOTICED, datetime(2026, 11, 25, 8, tzinfo=UTC), "Refusals <!channel> & more\nBcc: x@example.com",
    "It *began* yesterday.", data={"alert": "a-1", "title": "not this one"},
)  # fmt: skip
BODY = payload(NOTICE, "https://affidavit.example.com/t/acme/behaviour/a-1/")


def test_a_program_gets_type_timestamp_and_data() -> None:
    event = orjson.loads(BODY)
    assert set(event) == {"type", "timestamp", "data"}
    assert event["type"] == "drift_alert.noticed"
    assert event["data"]["alert"] == "a-1"
    assert event["data"]["title"] == NOTICE.title


def test_a_chat_is_told_in_blocks_and_nobody_is_called() -> None:
    message = orjson.loads(slack(BODY))
    assert "<!channel>" not in message["text"]
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "actions"]
    assert {block["text"]["type"] for block in message["blocks"][:2]} == {"plain_text"}  # where no markup is read


def test_a_chat_takes_long_texts_cut() -> None:
    long = Notice(EventType.PING, NOTICE.at, "t" * 500, "x" * 9_000)
    header, section = orjson.loads(slack(payload(long, None)))["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3_000


def test_a_subject_is_one_line() -> None:
    found = letter(BODY)
    assert "\n" not in found.subject
    assert "https://affidavit.example.com/t/acme/behaviour/a-1/" in found.text


def test_every_type_is_a_noun_and_a_past_verb_with_words_for_people() -> None:
    assert set(LABELS) == set(EventType)
    assert all(name.count(".") == 1 and name == name.lower() for name in EventType)
    assert EventType.PING not in CHOOSABLE
