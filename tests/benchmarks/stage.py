"""One stage of the background work, alone in a process, as the worker would do it: `… stage NAME TENANT SECONDS`.

Writes a JSON line: how many decisions it took, and the CPU seconds of this process for them, imports left out.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial


def stages(tenant_id: uuid.UUID, seconds: float) -> dict[str, Callable[[], int]]:
    """What follows a decision, by name; each returns how many it took."""
    from traces.costs.rollups import roll_up
    from traces.drift.worker import look
    from traces.meaning.embedding import embed
    from traces.search.indexing import index_words

    return {
        "sums of usage and cost": partial(roll_up, tenant_id),
        "words for the search": partial(index_words, tenant_id),
        "behaviour": partial(look, tenant_id),
        "embedding": partial(embed, tenant_id, seconds=seconds, batch=64),
    }


def main() -> None:
    import django

    django.setup()
    name, tenant_id, seconds = sys.argv[1], uuid.UUID(sys.argv[2]), float(sys.argv[3])
    stage = stages(tenant_id, seconds)[name]
    if name == "embedding":  # the model is loaded once in a worker's life
        from traces.meaning.encoder import encode

        encode(["warm"])
    started = time.process_time()
    done = stage()
    print(json.dumps({"done": done, "cpu": time.process_time() - started}))


if __name__ == "__main__":
    main()
