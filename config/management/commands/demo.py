"""The example organisation, its records sent through the HTTP API like anybody's."""

import json
import os
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import demo
from config.demo_cases import Auditors, make_cases
from config.demonstration import BUDGETS, SPAN, chats, claims, events, feedback, loans
from config.topology import trusted_headers

BATCH = 100
TRIES = 20


class Command(BaseCommand):
    help = "Fill this instance with an invented bank. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--base-url", required=True, help="where this instance answers, such as http://127.0.0.1:8000"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        base_url = options["base_url"].rstrip("/")
        path = Path(settings.AFFIDAVIT_HOME or ".") / "demo.json"
        memory = demo.Memory.read(path)
        people = demo.make_people(memory.password)
        actors = demo.make_tenant(people)
        memory.keys = demo.make_keys(actors["owner"], memory.keys)
        memory.write(path)
        ends = datetime.fromisoformat(memory.ends)
        demo.make_policies(actors, memory.password, since=ends - SPAN - timedelta(days=1))
        if not memory.submitted:
            submit_all(base_url, memory, ends)
            memory.submitted = True
            memory.write(path)
        if not memory.surrounded:
            memory.surrounded = True  # before, not after: a budget is not made twice
            memory.write(path)
            surround(base_url, memory, ends)
        demo.make_waiting_policy(actors, ends - SPAN, ends)
        make_cases(Auditors(actors["auditor"], actors["reviewer"], people, memory.password))
        self.stdout.write(told(base_url, memory))


def submit_all(base_url: str, memory: demo.Memory, ends: datetime) -> None:
    """Every record of both applications, in batches."""
    for source, decisions in (("support-app", list(chats(ends))), ("loan-app", list(loans(ends)))):
        for start in range(0, len(decisions), BATCH):
            call(f"{base_url}/api/v1/decisions", memory.keys[source], decisions[start : start + BATCH])


def surround(base_url: str, memory: demo.Memory, ends: datetime) -> None:
    """Traces of the agent, releases and incidents, thumbs, budgets."""
    for trace in claims(ends):
        call(f"{base_url}/v1/traces", memory.keys["claims-agent"], trace)
    call(f"{base_url}/api/v1/events", memory.keys["support-app"], events(ends))
    for judged in feedback():
        call(f"{base_url}/api/v1/feedback", memory.keys["support-app"], judged)
    for budget in BUDGETS:
        call(f"{base_url}/api/v1/budgets", memory.keys[demo.SETUP], budget)


def call(url: str, key: str, body: Any) -> None:
    """One request with a key, sent again while the instance is not ready for it."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    problem: Exception | None = None
    for _ in range(TRIES):
        request = urllib.request.Request(url, data, headers | trusted_headers(os.environ))  # noqa: S310  our own address
        try:
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
            return
        except urllib.error.HTTPError as error:
            problem = error
            if error.code not in {429, 502, 503}:
                raise CommandError(f"{url} answered {error.code}: {error.read().decode()[:500]}") from None
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            problem = error
        time.sleep(1)
    raise CommandError(f"{url} does not answer: {problem}")


def told(base_url: str, memory: demo.Memory) -> str:
    """How to come in, and how to send a record."""
    width = max(len(demo.address_of(person)) for person in demo.PEOPLE)
    logins = "\n".join(
        f"  {demo.address_of(person):{width}}  {role.label}" for person, (_, role) in demo.PEOPLE.items()
    )
    key = memory.keys["support-app"]
    return f"""Sign in as one of these, with the password {memory.password}

{logins}

Send a record of your own (this key writes, and reads nothing):

  curl {base_url}/api/v1/decisions \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"system": "support-assistant", "input": "Hello", "output": "How can I help?"}}'
"""
