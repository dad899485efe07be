"""Tiles and bundles as c2sp.org/tlog-tiles has them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger import merkle, tiles
from tenants.ledger.tiles import ENTRIES, TileError, TileRef
from tests.tenants.ledger import vectors
from tests.tenants.ledger.trees import TileStore, definition_root, hashes


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (TileRef(0, 0), "tile/0/000"),
        (TileRef(0, 0, 1), "tile/0/000.p/1"),
        (TileRef(3, 1234067), "tile/3/x001/x234/067"),
        (TileRef(63, 1000, 255), "tile/63/x001/000.p/255"),
        (TileRef(ENTRIES, 999, 17), "tile/entries/999.p/17"),
    ],
)
def test_paths(ref: TileRef, path: str) -> None:
    assert tiles.encode_path(ref) == path
    assert tiles.decode_path(path) == ref


@given(st.integers(ENTRIES, 63), st.integers(0, 2**62), st.integers(1, 256))
def test_paths_round_trip(level: int, index: int, width: int) -> None:
    ref = TileRef(level, index, width)
    assert tiles.decode_path(tiles.encode_path(ref)) == ref


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/data/000",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "/tile/0/000",
    ],
)
def test_other_spellings_of_paths_are_refused(path: str) -> None:
    with pytest.raises(TileError):
        tiles.decode_path(path)


def test_the_tree_of_70_000_of_the_specification() -> None:
    assert tiles.right_edge(70_000) == [TileRef(0, 273, 112), TileRef(1, 1, 17), TileRef(2, 0, 1)]
    assert tiles.right_edge(256) == [TileRef(1, 0, 1)]
    assert tiles.right_edge(0) == []
    widths = [tiles.tile_width(*at, 70_000) for at in [(0, 272), (0, 273), (0, 274), (1, 0), (1, 1), (2, 0), (3, 0)]]
    assert widths == [256, 112, 0, 256, 17, 1, 0]
    assert tiles.tile_width(ENTRIES, 273, 70_000) == 112


@given(st.lists(st.integers(0, 300), max_size=12))
def test_tiles_hold_the_tree_however_it_grew(batches: list[int]) -> None:
    store, leaf_hashes = TileStore(), hashes(sum(batches))
    frontier = merkle.Frontier()
    for batch in batches:
        added = leaf_hashes[store.size : store.size + batch]
        edge = set(tiles.right_edge(store.size))
        store.reads = 0
        changed = store.append(added)
        frontier = frontier.extend(added)
        assert all(tile.width == tiles.tile_width(tile.level, tile.index, store.size) for tile in changed)
        assert store.reads <= len(edge)
        read = store.nodes()
        roots = [read(level, (store.size >> level) - 1) for level in range(12) if store.size >> level & 1]
        assert tuple(roots[::-1]) == frontier.hashes
    assert frontier.root() == definition_root(leaf_hashes)


def test_tiles_of_three_levels() -> None:
    leaf_hashes = hashes(66_000)
    store, rng = TileStore(), random.Random(3)
    while store.size < len(leaf_hashes):
        store.append(leaf_hashes[store.size : store.size + rng.randint(1, 1024)])
    assert len(store.data) == 258 + 2 + 1
    root = merkle.root(leaf_hashes)
    for index in (0, 255, 65_535, 65_536, 65_999):
        store.reads = 0
        path = merkle.inclusion_proof(index, store.size, store.nodes())
        merkle.verify_inclusion(leaf_hashes[index], index, store.size, path, root)
        assert store.reads <= 5
    path = merkle.consistency_proof(40_001, store.size, store.nodes())
    merkle.verify_consistency(40_001, store.size, merkle.root(leaf_hashes[:40_001]), root, path)


def test_reading_what_is_not_there() -> None:
    store = TileStore()
    store.append(hashes(300))
    read = store.nodes()
    for level, index in [(0, 300), (8, 1), (9, 0), (3, 37), (16, 0)]:
        with pytest.raises(TileError):
            read(level, index)
    with pytest.raises(TileError):
        tiles.node_reader(300, lambda level, index, width: b"x" * 31)(0, 0)
    with pytest.raises(TileError):
        tiles.append(3, hashes(1), lambda level, index, width: b"")


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    data = tiles.encode_bundle(entries)
    assert tiles.decode_bundle(data) == entries
    if data:
        with pytest.raises(TileError):
            tiles.decode_bundle(data + b"\x00")


def test_the_bundle_of_a_published_log() -> None:
    entries = [text.encode() for text in vectors.TESSERA_ENTRIES]
    data = tiles.encode_bundle(entries)
    assert data.startswith(b"\x00\x03one\x00\x03two\x00\x05three")
    store = TileStore()
    (tile,) = store.append(merkle.leaf_hash(entry) for entry in tiles.decode_bundle(data))
    assert (tile.level, tile.index, tile.width) == (0, 0, 15)


def test_an_entry_has_a_limit() -> None:
    assert tiles.encode_bundle([b"x" * 65_535])[:2] == b"\xff\xff"
    with pytest.raises(TileError):
        tiles.encode_bundle([b"x" * 65_536])
