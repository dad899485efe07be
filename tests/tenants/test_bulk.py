"""The raw cursor speaks Django's errors, so that whoever waits for a lost database notices that it is lost."""

import pytest
from django.db import OperationalError, ProgrammingError, connections

from tenants.bulk import raw_cursor
from tests.invariants.worlds import superuser


def test_a_wrong_statement_is_a_django_error() -> None:
    with pytest.raises(ProgrammingError, match="nowhere"):
        raw_cursor("default").execute("SELECT FROM nowhere")


def test_a_lost_connection_is_a_django_error_and_the_next_one_works() -> None:
    cursor = raw_cursor("sequencer")
    with superuser() as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s)", [cursor.connection.info.backend_pid])
    with pytest.raises(OperationalError):
        cursor.execute("SELECT 1")
    connections["sequencer"].close()
    assert raw_cursor("sequencer").execute("SELECT 1").fetchone() == (1,)
