"""The run's database, and the cast of characters.

Tests commit for real, as the product does, through the product's own database roles. Each makes a tenant of its own,
which is all the separation they need: that it is enough is what the product promises.
"""

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core.management import call_command
from django.db import connections
from django.http import HttpRequest
from pytest_django.plugin import DjangoDbBlocker

from tenants.models import User
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


@pytest.fixture(scope="session", autouse=True)
def _shown_passwords() -> Iterator[None]:
    """Whom a test signs in without the page has shown a password, as far as their session knows."""

    def note(request: HttpRequest, user: User, **_: Any) -> None:
        if not get_authentication_records(request, user):
            record_authentication(request, user, "password")

    user_logged_in.connect(note)
    yield
    user_logged_in.disconnect(note)


@pytest.fixture
def cast() -> Cast:
    """A tenant with a person in every role, a source, and a key of each scope."""
    return make_cast()


@pytest.fixture
def stranger() -> Cast:
    """Another tenant, with everybody in it: what they must never see is the first one's."""
    return make_cast()
