"""A copy of every log where nobody can change it: a bucket of an S3-compatible store with Object Lock.

The objects are those of c2sp.org/tlog-tiles, so that whoever reads the bucket can derive the tree again: each bundle of
up to 256 leaves, then the signed head that covers them. Leaves hold digests, no content.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tenants.ledger.sinks import TIMEOUT_SECONDS, Anchored, Head
from tenants.ledger.tiles import encode_path


def s3_client(endpoint: str = "") -> Any:
    """A client of the store; credentials and region come from the usual `AWS_` variables, files or roles."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"max_attempts": 2})
    return boto3.client("s3", endpoint_url=endpoint or None, config=config)


@dataclass(frozen=True, slots=True)
class LockedSink:
    """Puts leaves and heads under `prefix/tenant/shard/`, locked for `retain`; zero: as the bucket says."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    retain: timedelta = timedelta(0)
    name: str = "s3"
    every: timedelta = timedelta(minutes=5)

    def anchor(self, head: Head) -> Anchored:
        """Leaves first: where a head is, all that it covers is."""
        from botocore.exceptions import (  # half a second, which only a worker with a bucket pays
            BotoCoreError,
            ClientError,
        )

        folder = "/".join(part for part in (self.prefix.strip("/"), str(head.tenant_id), str(head.shard)) if part)
        try:
            client = s3_client(self.endpoint)
            n_bundles = 0
            for ref, data in head.bundles():
                self._put(client, f"{folder}/{encode_path(ref)}", data)
                n_bundles += 1
            version = self._put(client, f"{folder}/checkpoint", head.note.encode())
        except (BotoCoreError, ClientError) as error:
            raise OSError(str(error)) from error
        return Anchored(version.encode(), f"s3://{self.bucket}/{folder}/checkpoint and {n_bundles:,} bundles")

    def _put(self, client: Any, key: str, data: bytes) -> str:
        lock = {}
        if self.retain:
            lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + self.retain}
        put = client.put_object(Bucket=self.bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256", **lock)
        return str(put.get("VersionId", ""))
