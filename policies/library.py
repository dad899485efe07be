"""The starter library: policies in our own words, to be copied into a tenant and changed there.

They are ordinary documents in `policies/starter/`, one YAML file each, named after the policy.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from policies.document import PolicyDocument, parse

STARTER = Path(__file__).parent / "starter"


@dataclass(frozen=True, slots=True)
class StarterPolicy:
    """A library entry: the text an author starts from, comments and all, and what it parses to."""

    name: str
    source: str
    document: PolicyDocument


@lru_cache(maxsize=1)
def list_starters() -> tuple[StarterPolicy, ...]:
    """All entries, by name. Read once; a broken file raises DocumentError."""
    return tuple(load_starter(path.stem) for path in sorted(STARTER.glob("*.yaml")))


def load_starter(name: str) -> StarterPolicy:
    """One entry. Raises KeyError when the library has none of that name."""
    known = {path.stem: path for path in STARTER.glob("*.yaml")}
    source = known[name].read_text(encoding="utf-8")
    return StarterPolicy(name, source, parse(source))
