"""The loop of a process that works until it is told to stop: patient with the database, quick to end."""

import logging
import signal
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connections

REPORT_SECONDS = 60.0
RETRY_SECONDS = 1.0


def work_until_stopped(name: str, step: Callable[[], int], *, idle_seconds: float) -> None:
    """Call `step` (which returns how much it did) until SIGTERM or SIGINT; sleep when it did nothing.

    A lost database is waited for: the connection is dropped and tried again. What was done is logged once a minute.
    """
    logger = logging.getLogger(f"affidavit.{name}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logger.info("%s started", name)
    done, reported = 0, time.monotonic()
    while not stop.is_set():
        try:
            worked = step()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("%s waits for the database: %s", name, str(error).strip())
            for connection in connections.all(initialized_only=True):
                connection.close()
            stop.wait(RETRY_SECONDS)
            continue
        done += worked
        if time.monotonic() - reported > REPORT_SECONDS:
            logger.info("%s: %d in the last minute", name, done)
            done, reported = 0, time.monotonic()
        if not worked:
            stop.wait(idle_seconds)
    logger.info("%s stopped", name)
