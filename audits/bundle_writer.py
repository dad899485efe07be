"""Writing evidence bundles (`affidavit-bundle/1`, described by `audits/verifier/affidavit_verify.py`).

A member may be larger than memory: it is streamed. The same members with the same contents give the same bytes.
"""

import hashlib
import uuid
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self

import orjson

from tenants.ledger.canonical import dumps, parse_strict
from traces.sealing import Content

FORMAT = "affidavit-bundle/1"
TOOLS = Path(__file__).parent / "verifier"
EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first moment

ERASED = "content erased"


class BundleWriter:
    """A zip that remembers the digest of everything put in it, and what was left out. A context manager."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self.files: dict[str, dict[str, Any]] = {}
        self.missing: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._zip.close()

    def add(self, path: str, data: bytes | str) -> None:
        """One member, listed in the manifest."""
        content = data.encode() if isinstance(data, str) else data
        self._zip.writestr(_member(path), content)
        self.files[path] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def add_stream(self, path: str, chunks: Iterable[bytes]) -> None:
        """One member of any size, listed in the manifest."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(_member(path), "w", force_zip64=True) as member:
            for chunk in chunks:
                member.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.files[path] = {"sha256": digest.hexdigest(), "bytes": size}

    def leave_out(self, identity: object, reason: str) -> None:
        """Something that a reader would look for and does not find."""
        self.missing.append({"id": str(identity), "reason": reason})

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """The manifest goes in last, when everything else is known."""
        whole = {"format": FORMAT, **manifest, "files": self.files, "missing": self.missing}
        content = orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        self._zip.writestr(_member("manifest.json"), content)


def _member(path: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


def record_document(identity: uuid.UUID, content: Content | None, erased: Mapping[str, str]) -> bytes:
    """`records/<id>.json`: each group's value and salt, and the groups that are gone, with the reason."""
    canonical, salts = (content.canonical, content.salts) if content else ({}, {})
    groups = {group: parse_strict(data) for group, data in canonical.items()}
    encoded = {group: urlsafe_b64encode(salts[group]).decode().rstrip("=") for group in canonical}
    return dumps({"id": str(identity), "groups": groups, "salts": encoded, "erased": dict(erased)})
