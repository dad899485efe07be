"""Stores that are away for a while: the broker, which recording does without, and the database, which it waits for."""

import http.client
import time
import uuid

from tests.benchmarks.corpus import external_id, pieces
from tests.benchmarks.instance import Credentials, Instance
from tests.faults.killer import Killer
from tests.faults.verdict import Verdict

POSTS = 20


class Prober:
    """Posts single records and looks at the answers."""

    def __init__(self, instance: Instance, credentials: Credentials) -> None:
        self.instance, self.credentials = instance, credentials
        self.corpus, self.name, self.sent = pieces(16), uuid.uuid4().hex, 0

    def post(self) -> tuple[int, str]:
        """The status and the `Retry-After`; 0 when the connection failed."""
        before, after = self.corpus[self.sent % len(self.corpus)]
        body = before + external_id(self.name, 0, self.sent) + after
        self.sent += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.instance.port, timeout=15)
        headers = {"Authorization": f"Bearer {self.credentials.ingest_key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/api/v1/decisions", body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()
        return response.status, response.headers.get("Retry-After", "")


def broker_away(instance: Instance, credentials: Credentials, verdict: Verdict) -> None:
    """Without Redis or Valkey everything is recorded, and no slower."""
    valkey = instance.services.valkey
    if valkey is None:
        return
    prober = Prober(instance, credentials)
    prober.post()
    port = valkey.port
    valkey.process.kill()
    valkey.process.wait()
    started = time.monotonic()
    refused = [status for status, _ in (prober.post() for _ in range(POSTS)) if status != 201]
    seconds = time.monotonic() - started
    valkey.start()
    verdict.hold("Broker away: every record is taken", refused, f"{POSTS} records in {seconds:.1f} s")
    verdict.hold("Broker back on its port", int(valkey.port != port))


def database_away(instance: Instance, credentials: Credentials, killer: Killer, verdict: Verdict) -> None:
    """Without PostgreSQL: 503 with Retry-After, at once; with it again, the same processes go on."""
    prober = Prober(instance, credentials)
    prober.post()
    killer.kill_postgres()
    started = time.monotonic()
    answers = [prober.post() for _ in range(POSTS)]
    seconds = time.monotonic() - started
    killer.start_postgres()
    wrong = [answer for answer in answers if answer[0] != 503 or not answer[1]]
    verdict.hold("Database away: 503 with Retry-After", wrong, f"{POSTS} answers in {seconds:.1f} s")
    killer.restart_dead()
    instance.wait_ready()
    refused = [status for status, _ in (prober.post() for _ in range(POSTS)) if status != 201]
    verdict.hold("Database back: every record is taken", refused)
