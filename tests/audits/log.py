"""What the sequencer and the signer do between two moments of a test, for one tenant."""

import atexit
import tempfile

from django.test import override_settings

from tenants.context import tenant_atomic
from tenants.ledger.log import active_log
from tenants.ledger.reader import latest_checkpoint
from tenants.ledger.sequencer import integrate
from tenants.ledger.signer import Grown, sign_log
from tenants.models import LedgerCheckpoint
from tests.factories.tenants import Cast

_folder = tempfile.TemporaryDirectory(prefix="affidavit-signer-")
atexit.register(_folder.cleanup)
STATE = _folder.name


def publish(cast: Cast) -> LedgerCheckpoint:
    """Everything queued is in the tree, and a signed checkpoint covers it."""
    while integrate(cast.tenant.pk):
        pass
    with tenant_atomic(cast.tenant.pk):
        log, newest = active_log(cast.tenant.pk), latest_checkpoint()
    if newest is None or newest.size < log.size:
        with override_settings(AFFIDAVIT_SIGNER_STATE=STATE):
            sign_log(Grown(cast.tenant.pk, log.shard, log.origin, log.size, bytes(log.root)))
    with tenant_atomic(cast.tenant.pk):
        newest = latest_checkpoint()
    assert newest is not None
    return newest
