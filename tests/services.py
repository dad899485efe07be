"""Pytest plugin, loaded before Django: real PostgreSQL and Valkey for the run, unless the environment names some.

Workers of a parallel run inherit the first process's servers; each gets a database of its own (`tests.conftest`).
"""

import atexit
import contextlib
import os

from config.servers import TEST, default_home, running_services

if "DATABASE_URL" not in os.environ:
    _stack = contextlib.ExitStack()
    _services = _stack.enter_context(running_services(default_home(os.environ) / "test", TEST))
    os.environ.update(_services.env())
    atexit.register(_stack.close)
