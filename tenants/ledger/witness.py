"""c2sp.org/tlog-witness: somebody else checks that our log only grows, and says so with a cosignature."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tenants.ledger.notes import Checkpoint, split_note
from tenants.ledger.sinks import Anchored, Answer, Head, post

COSIGNATURE_V1 = b"\x04"  # the signature type of c2sp.org/tlog-cosignature with Ed25519
SIZE_TYPE = "text/x.tlog.size"
MAX_SKEW = timedelta(minutes=10)


class WitnessError(ValueError):
    """The witness refused, or its cosignature is not what it should be."""


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's public key with its name."""

    name: str
    public_bytes: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Cosigner":
        """`name+hex(key id)+base64(0x04 || key)`; raises WitnessError."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            key = b64decode(encoded, validate=True)
        except ValueError:
            raise WitnessError(f"not a witness's key: {vkey!r}") from None
        if not name or key[:1] != COSIGNATURE_V1 or len(key) != 33 or cls(name, key[1:]).key_id.hex() != key_id:
            raise WitnessError(f"not a witness's key: {vkey!r}")
        return cls(name, key[1:])

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || 0x04 || key)."""
        return sha256(self.name.encode() + b"\n" + COSIGNATURE_V1 + self.public_bytes).digest()[:4]

    def verify(self, text: str, blob: bytes) -> datetime:
        """When the witness saw `text`; `blob` is key id, time (8 bytes) and signature (64). Raises WitnessError."""
        if len(blob) != 76 or blob[:4] != self.key_id:
            raise WitnessError("the cosignature is by another key")
        seconds = int.from_bytes(blob[4:12], "big")
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public_bytes).verify(blob[12:], message)
        except InvalidSignature:
            raise WitnessError("the cosignature does not fit the checkpoint") from None
        return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class WitnessSink:
    """Keeps the witness's signature lines, which belong under the note."""

    url: str
    vkey: str
    name: str = "witness"
    every: timedelta = timedelta(0)

    def anchor(self, head: Head) -> Anchored:
        cosigner = Cosigner.parse(self.vkey)
        answer = self._add(head, head.anchored_size)
        if answer.status == 409:  # it holds another size than we remember, and names it
            answer = self._add(head, _size_in(answer, head.size))
        if answer.status != 200:
            reason = answer.body[:200].decode(errors="replace").strip()
            raise WitnessError(f"the witness answered {answer.status}: {reason}")
        seen = cosigned(head.note, answer.body.decode(), cosigner)
        if abs(datetime.now(UTC) - seen) > MAX_SKEW:
            raise WitnessError(f"the witness's clock says {seen:%Y-%m-%d %H:%M:%S}")
        return Anchored(answer.body, f"cosigned by {cosigner.name} {seen:%Y-%m-%d %H:%M:%S} UTC")

    def _add(self, head: Head, old_size: int) -> Answer:
        return post(
            f"{self.url.rstrip('/')}/add-checkpoint", request_body(head, old_size), {"Content-Type": "text/plain"}
        )


def request_body(head: Head, old_size: int) -> bytes:
    """`old <size>`, the consistency proof in base64 lines, a blank line, the signed note."""
    proof = "".join(f"{b64encode(node).decode()}\n" for node in head.consistency(old_size))
    return f"old {old_size}\n{proof}\n{head.note}".encode()


def _size_in(answer: Answer, newest: int) -> int:
    text = answer.body[:32].decode(errors="replace").strip()
    if answer.content_type != SIZE_TYPE or not text.isdecimal():
        raise WitnessError("the witness answered 409 without its size")
    if int(text) > newest:
        raise WitnessError(f"the witness has seen {text} leaves, our newest head has {newest}: the log was set back")
    return int(text)


def cosigned(note: str, lines: str, cosigner: Cosigner) -> datetime:
    """When the cosigner saw the note's checkpoint, from its signature lines; raises WitnessError, NoteError."""
    text = split_note(note)[0]
    Checkpoint.parse(text)
    for name, key_id, signature in split_note(f"{text}\n{lines}")[1]:
        if name == cosigner.name and key_id == cosigner.key_id:
            return cosigner.verify(text, key_id + signature)
    raise WitnessError(f"{cosigner.name} is not among the signatures of the answer")
