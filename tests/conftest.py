"""The run's database, and the cast of characters.

Tests commit for real, as the product does, through the product's own database roles. Each makes a tenant of its own,
which is all the separation they need: that it is enough is what the product promises.
"""

import os
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from tests.factories.tenants import Cast, make_cast


def _database_name() -> str:
    return f"affidavit_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@pytest.fixture(scope="session", autouse=True)
def database(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A freshly migrated database that stays open to every test."""
    name = _database_name()
    with django_db_blocker.unblock():
        owner = settings.DATABASES["owner"]
        administrator = {
            k: owner[v] for k, v in {"user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}.items()
        }
        with psycopg.connect(**administrator, dbname=owner["NAME"], autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
        for alias in connections:
            connections[alias].settings_dict["NAME"] = name
            settings.DATABASES[alias]["NAME"] = name
        call_command("migrate", verbosity=0)
        yield
        connections.close_all()


@pytest.fixture
def cast() -> Cast:
    """A tenant with a person in every role, a source, and a key of each scope."""
    return make_cast()


@pytest.fixture
def stranger() -> Cast:
    """Another tenant, with everybody in it: what they must never see is the first one's."""
    return make_cast()
