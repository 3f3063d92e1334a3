"""The Merkle tree of RFC 6962, and the tiles of c2sp.org/tlog-tiles."""

import hashlib

TILE = 256
TILE_HEIGHT = 8
EMPTY_ROOT = hashlib.sha256(b"").digest()


def hash_leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def tile_root(hashes: list) -> bytes:
    while len(hashes) > 1:
        hashes = [hash_children(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


class Subtrees:
    """A tree as the roots of its full subtrees, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list = []
        self.tile_roots: list = []

    def append(self, digest: bytes, height: int = 0) -> None:
        self.size += 2**height
        if height == TILE_HEIGHT:
            self.tile_roots.append(digest)
        while self.stack and self.stack[-1][1] == height:
            digest = hash_children(self.stack.pop()[0], digest)
            height += 1
            if height == TILE_HEIGHT:
                self.tile_roots.append(digest)
        self.stack.append((digest, height))

    def root(self) -> bytes:
        root = None
        for digest, _ in reversed(self.stack):
            root = digest if root is None else hash_children(digest, root)
        return EMPTY_ROOT if root is None else root

    def copy(self) -> "Subtrees":
        other = Subtrees()
        other.size, other.stack, other.tile_roots = self.size, self.stack[:], self.tile_roots[:]
        return other


class TwoTrees:
    """The tree of the records and, from where they differ, that of the hashes in the tiles."""

    def __init__(self) -> None:
        self.records = Subtrees()
        self.tiles: Subtrees | None = None

    def append(self, record: bytes, stored: bytes) -> None:
        if record != stored and self.tiles is None:
            self.tiles = self.records.copy()
        self.records.append(record)
        if self.tiles:
            self.tiles.append(stored)

    def append_tile(self, root: bytes) -> None:
        self.records.append(root, TILE_HEIGHT)
        if self.tiles:
            self.tiles.append(root, TILE_HEIGHT)

    def has_root(self, root: bytes) -> bool:
        return self.records.root() == root or (self.tiles is not None and self.tiles.root() == root)

    def settle(self, root: bytes) -> str:
        """Returns which tree has the root. It continues alone; without any, that of the records does."""
        tiles, self.tiles = self.tiles, None
        if self.records.root() == root:
            return "records"
        if tiles and tiles.root() == root:
            self.records = tiles
            return "tiles"
        return "neither"


def tile_width(level: int, index: int, size: int) -> int:
    return max(0, min(TILE, size // TILE**level - index * TILE))


def tile_path(level: int | str, index: int, width: int) -> str:
    parts = [f"{index % 1000:03}"]
    while index := index // 1000:
        parts.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(parts)}" + ("" if width == TILE else f".p/{width}")


class Tiles:
    """Reads tiles. Lists those that are missing, and reports those that are malformed."""

    def __init__(self, read, find) -> None:
        self._read_file, self._find = read, find
        self.missing: list = []
        self._peeked: tuple = (None, None)

    def read(self, level: int | str, index: int, width: int) -> list | None:
        """Returns the hashes of a tile, or the leaves of a bundle of level `entries`."""
        path = tile_path(level, index, width)
        content = self._read_file(path)
        if content is None:
            self.missing.append((level, index, width))
            return None
        parsed = _parse(level, content)
        if parsed is None or len(parsed) != width:
            self._find(f"{path} is malformed")
            return None
        return parsed

    def peek(self, level: int | str, index: int, width: int) -> list | None:
        """Reads a tile, and reports nothing."""
        path = tile_path(level, index, width)
        if self._peeked[0] != path:
            content = self._read_file(path)
            parsed = None if content is None else _parse(level, content)
            self._peeked = (path, parsed if parsed is not None and len(parsed) == width else None)
        return self._peeked[1]


def _parse(level: int | str, content: bytes) -> list | None:
    if level == "entries":
        return _leaves(content)
    return [content[at : at + 32] for at in range(0, len(content), 32)] if len(content) % 32 == 0 else None


def _leaves(content: bytes) -> list | None:
    leaves, start = [], 0
    while start < len(content):
        end = start + 2 + int.from_bytes(content[start : start + 2], "big")
        if start + 2 > len(content) or end > len(content):
            return None
        leaves.append(content[start + 2 : end])
        start = end
    return leaves
