"""Two furnished tenants, made once a module."""

import pytest

from tests.invariants.worlds import World, make_world


@pytest.fixture(scope="module")
def mine() -> World:
    return make_world()


@pytest.fixture(scope="module")
def theirs() -> World:
    """What must never be seen, changed or guessed from `mine`."""
    return make_world()
