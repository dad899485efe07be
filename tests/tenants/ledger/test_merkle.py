"""RFC 6962 trees: published vectors, every small tree, large ones sampled, and any change caught."""

import random
from base64 import b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger import merkle
from tenants.ledger.merkle import Frontier, ProofError
from tests.tenants.ledger import vectors
from tests.tenants.ledger.trees import TileStore, definition_root, hashes

LEAVES = hashes(1025)
EDGES = [255, 256, 257, 260, 511, 512, 513, 767, 1023, 1024, 1025]


@pytest.fixture(scope="module")
def store() -> TileStore:
    """1,025 leaves appended in uneven batches."""
    store, rng = TileStore(), random.Random(6962)
    while store.size < len(LEAVES):
        store.append(LEAVES[store.size : store.size + rng.randint(1, 70)])
    return store


def node(level: int, index: int) -> bytes:
    return bytes.fromhex(vectors.TREE_NODES[level][index])


def test_published_hashes() -> None:
    assert merkle.EMPTY_ROOT.hex() == merkle.root([]).hex() == vectors.EMPTY_ROOT
    assert {leaf: merkle.leaf_hash(leaf).hex() for leaf in vectors.LEAF_HASHES} == vectors.LEAF_HASHES
    assert merkle.node_hash(b"N123", b"N456").hex() == vectors.NODE_N123_N456


def test_published_tree() -> None:
    leaf_hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in vectors.TREE_LEAVES]
    assert [merkle.root(leaf_hashes[:size]).hex() for size in range(9)] == vectors.TREE_ROOTS
    frontier = Frontier().extend(leaf_hashes[:7])
    assert frontier == Frontier(7, (node(2, 0), node(1, 2), node(0, 6)))


@pytest.mark.parametrize(("index", "size", "path"), vectors.TREE_INCLUSIONS)
def test_published_inclusions(index: int, size: int, path: list[tuple[int, int]]) -> None:
    proof, leaf = [node(*at) for at in path], node(0, index)
    root = bytes.fromhex(vectors.TREE_ROOTS[size])
    assert merkle.inclusion_proof(index, size, node) == proof
    merkle.verify_inclusion(leaf, index, size, proof, root)
    wrong = [
        (leaf, index - 1, size, proof, root),
        (leaf, index + 1, size, proof, root),
        (leaf, index ^ 2, size, proof, root),
        (leaf, index, size * 2, proof, root),
        (leaf, index, size // 2, proof, root),
        (b"WrongLeaf", index, size, proof, root),
        (leaf, index, size, proof, merkle.EMPTY_ROOT),
        (leaf, index, size, proof, bytes.fromhex(vectors.UNRELATED_HASH)),
        (leaf, index, size, [*proof, b""], root),
        (leaf, index, size, [*proof, root], root),
        (leaf, index, size, [b"", *proof], root),
        (leaf, index, size, [root, *proof], root),
        *([(leaf, index, size, proof[:-1], root)] if proof else []),
    ]
    for arguments in wrong:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*arguments)


@pytest.mark.parametrize(("old", "new", "path"), vectors.TREE_CONSISTENCIES)
def test_published_consistencies(old: int, new: int, path: list[tuple[int, int]]) -> None:
    proof = [node(*at) for at in path]
    old_root, new_root = (bytes.fromhex(vectors.TREE_ROOTS[size]) for size in (old, new))
    assert merkle.consistency_proof(old, new, node) == proof
    merkle.verify_consistency(old, new, old_root, new_root, proof)
    wrong = [
        (old, new, b"WrongRoot", new_root, proof),
        (old, new, old_root, b"WrongRoot", proof),
        (old, new, old_root, new_root, [*proof, b""]),
        (old, new, old_root, new_root, [*proof, old_root]),
        (old, new, old_root, new_root, [b"", *proof]),
        (old, new, old_root, new_root, [new_root, *proof]),
    ]
    if proof:
        wrong += [
            (old - 1, new, old_root, new_root, proof),
            (old + 1, new, old_root, new_root, proof),
            (old ^ 2, new, old_root, new_root, proof),
            (old, new * 2, old_root, new_root, proof),
            (old, new // 2, old_root, new_root, proof),
            (old, new, new_root, old_root, proof),
            (old, new, old_root, new_root, []),
            (old, new, old_root, new_root, proof[:-1]),
        ]
    for arguments in wrong:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*arguments)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 1), (1, 0), (2, 1), (-1, 1)])
def test_sizes_that_prove_nothing(old: int, new: int) -> None:
    root = bytes.fromhex(vectors.UNRELATED_HASH)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, new, root, root, [])
    with pytest.raises(ValueError, match="no consistency proof"):
        merkle.consistency_proof(old, new, node)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (2, 1), (-1, 3)])
def test_leaves_that_are_not_there(index: int, size: int) -> None:
    with pytest.raises(ProofError):
        merkle.verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(index, size, node)


def test_a_certificate_transparency_log() -> None:
    path, consistency = (
        [b64decode(text) for text in each.split()] for each in (vectors.ARGON_PATH, vectors.ARGON_CONSISTENCY)
    )
    root, old_root = b64decode(vectors.ARGON_ROOT), b64decode(vectors.ARGON_OLD_ROOT)
    leaf = bytes.fromhex(vectors.ARGON_LEAF)
    merkle.verify_inclusion(leaf, vectors.ARGON_INDEX, vectors.ARGON_SIZE, path, root)
    merkle.verify_consistency(vectors.ARGON_OLD_SIZE, vectors.ARGON_SIZE, old_root, root, consistency)


@pytest.mark.parametrize("size", [*range(131), *EDGES])
def test_frontier_root_is_the_definition(size: int) -> None:
    half = Frontier().extend(LEAVES[: size // 2])
    assert half.extend(LEAVES[size // 2 : size]).root() == definition_root(LEAVES[:size])


def test_every_proof_of_every_small_tree(store: TileStore) -> None:
    roots = [definition_root(LEAVES[:size]) for size in range(101)]
    for size in range(1, 101):
        read = store.nodes(size)
        for index in range(size):
            path = merkle.inclusion_proof(index, size, read)
            merkle.verify_inclusion(LEAVES[index], index, size, path, roots[size])
            old = index + 1
            path = merkle.consistency_proof(old, size, read)
            merkle.verify_consistency(old, size, roots[old], roots[size], path)


@pytest.mark.parametrize("size", EDGES)
def test_proofs_of_larger_trees(store: TileStore, size: int) -> None:
    read, root = store.nodes(size), definition_root(LEAVES[:size])
    rng = random.Random(size)
    for index in {0, size - 1, size // 2, *EDGES[:4], *(rng.randrange(size) for _ in range(40))}:
        if index < size:
            merkle.verify_inclusion(LEAVES[index], index, size, merkle.inclusion_proof(index, size, read), root)
    for old in {1, size, size - 1, *(rng.randint(1, size) for _ in range(40))}:
        path = merkle.consistency_proof(old, size, read)
        merkle.verify_consistency(old, size, definition_root(LEAVES[:old]), root, path)


@given(st.data(), st.integers(1, 1025))
def test_any_changed_bit_is_caught(store: TileStore, data: st.DataObject, size: int) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, old_root = merkle.root(LEAVES[:size]), merkle.root(LEAVES[:old])
    read = store.nodes(size)

    inclusion = [LEAVES[index], root, *merkle.inclusion_proof(index, size, read)]
    flip(inclusion, data)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(inclusion[0], index, size, inclusion[2:], inclusion[1])

    consistency = [old_root, root, *merkle.consistency_proof(old, size, read)]
    flip(consistency, data)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, size, consistency[0], consistency[1], consistency[2:])


@given(st.data(), st.integers(1, 300))
def test_another_index_is_caught(store: TileStore, data: st.DataObject, size: int) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 2**40))
    path = merkle.inclusion_proof(index, size, store.nodes(size))
    if other != index:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(LEAVES[index], other, size, path, merkle.root(LEAVES[:size]))


def flip(hashes: list[bytes], data: st.DataObject) -> None:
    """Flip one bit of one of the hashes."""
    which, bit = data.draw(st.integers(0, len(hashes) - 1)), data.draw(st.integers(0, 255))
    changed = int.from_bytes(hashes[which], "big") ^ 1 << bit
    hashes[which] = changed.to_bytes(32, "big")


def test_a_frontier_must_fit_its_size() -> None:
    with pytest.raises(ValueError, match="frontier"):
        Frontier(3, (sha256(b"").digest(),))
