"""Policies in force during a run: judging is part of recording."""

import time
import uuid

from config.supervisor import ROOT

# Those of the starter library that a loan assistant would have, the commonest first.
ORDER = ("adverse-needs-reason", "pii-in-output", "known-model", "prompt-injection", "regulated-advice")


def activate_starters(tenant_id: str, count: int) -> int:
    """Put the first `count` starter policies in force; returns how many that is. Needs `set_up_django`."""
    from policies.activations import break_glass
    from policies.services import draft_version
    from tenants.actors import system_actor

    by = system_actor(uuid.UUID(tenant_id), "benchmark", "policy.draft", "policy.break_glass")
    chosen = ORDER[:count]
    for name in chosen:
        source = (ROOT / "policies" / "starter" / f"{name}.yaml").read_text(encoding="utf-8")
        break_glass(by=by, version=draft_version(by=by, source=source), reason="a measurement")
    time.sleep(1.5)  # what follows is to have happened while they were in force
    return len(chosen)
