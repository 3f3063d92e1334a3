#!/usr/bin/env python3
"""Verifies an export of AuditTrail's audit log, offline.

Needs Python 3.11 and python3-cryptography. The format: docs/audit-format.md.
Exits with 0 if the log is intact, 1 if it was tampered with, 2 for wrong usage, and 3 if it could
not be checked.
"""

import argparse
import json
import re
import sys
import unicodedata
from pathlib import Path

from heads import Head, HeadCheck, Undecided, heads_in_order
from leaves import (
    Erasures,
    ProcessNumbers,
    Prunings,
    Restores,
    is_committed,
    merge,
    parse_json,
    parse_leaf,
    to_count,
)
from merkle import TILE, Tiles, TwoTrees, hash_leaf, tile_path, tile_root, tile_width
from policy import Policy, PolicyError, parse_policy
from signed_notes import cosigners, kept_notes, open_checkpoint, parse_key

LISTED = 20
MAX_FILE = 20_000_000
UNANCHORED = (
    "not ruled out, because no checkpoint or policy from outside was given: an older copy of the log,"
    " and a rewrite with SECRET_KEY"
)


class Unverifiable(Exception):
    """The log could not be checked."""


class UsageError(Exception):
    pass


class Findings:
    """Counts what is wrong, and keeps the first findings."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list = []

    def find(self, problem: str) -> None:
        self.count += 1
        if self.count <= LISTED:
            self.listed.append(problem)

    def find_record(self, index: int, leaf: dict | None, problem: str) -> None:
        where = f" ({leaf['time']} {leaf['type']})" if leaf else ""
        self.find(f"record {index}{where} {problem}")


class Export:
    """The files of an export."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        if not self._directory.is_dir():
            raise Unverifiable(f"The directory {json.dumps(directory)} does not exist.")

    def read(self, path: str, limit: int | None = MAX_FILE) -> bytes | None:
        """Returns None if there is no such file."""
        file = self._directory / path
        try:
            if not file.exists():
                return None
            if not file.is_file():
                raise Unverifiable(f"{json.dumps(str(file))} is not a regular file.")
            # A larger file is malformed, as an empty one is.
            return b"" if limit is not None and file.stat().st_size > limit else file.read_bytes()
        except OSError as error:
            raise Unverifiable(f"The file {json.dumps(str(file))} cannot be read ({error.strerror}).") from error


class Verification:
    """Verifies one export by what it has and what the auditor has."""

    def __init__(self, export: Export, keys: list, policy: Policy | None, given: list) -> None:
        self.export, self.keys, self.policy, self.given = export, keys, policy, given
        self.witnesses = policy.witnesses if policy else []
        self.findings = Findings()
        self.notes: list = []
        self.size = 0

    def run(self) -> None:
        served = self.read_served()
        if served is None:
            return
        self.size = served.size
        find = self.findings.find
        tiles = Tiles(self.export.read, find)
        numbers, erasures = ProcessNumbers(), Erasures()
        prunings, restores = Prunings(), Restores(served.origin)
        undecided = Undecided(self.given, served.size)
        unreadable: list = []

        def on_record(leaf: dict, index: int) -> None:
            copied = numbers.add(leaf, index)
            if copied is not None:
                self.findings.find_record(index, leaf, f"is a copy of record {copied}")
                return
            for facts in (erasures, prunings, restores, undecided):
                facts.add(leaf, index)

        kept = self.export.read("checkpoints", None)
        heads = heads_in_order(kept, self.given, served, self.keys, self.witnesses, find)
        trees = TwoTrees()
        check = HeadCheck(trees, heads, self.findings, on_record, unreadable)
        self.read_records(tiles, trees, check, on_record, unreadable)
        unreadable = merge(unreadable)
        self.check_upper_tiles(tiles, trees.records.tile_roots, check.is_signed)
        is_pruned = self.report_missing(tiles, prunings.minimum_index)
        head_notes = undecided.report(check.undecided, restores, prunings, find)
        lost, in_flight, unsure = numbers.report(find, restores, prunings, unreadable)
        personal = self.export.read("private.ndjson", None)
        erased = 0 if personal is None else self.check_personal(personal, tiles, erasures, unreadable)
        if is_pruned:
            self.notes.append(f"records 0 to {prunings.minimum_index - 1} were pruned")
        self.count("events lost by a restore or failover that was accepted", lost)
        self.count("events in flight when their process ended", in_flight)
        self.count("events in flight when their connection was lost", unsure)
        self.count("erased personal texts", erased)
        if personal is None:
            self.notes.append("names and addresses were not checked: the export has none")
        if kept is None:
            self.notes.append("the export has no kept checkpoints")
        self.count("checkpoints not compared, because the records up to them are not there", check.uncompared)
        self.notes += head_notes
        if not self.given and not self.witnesses:
            self.notes.append(UNANCHORED)

    def count(self, what: str, count: int) -> None:
        if count > 0:
            self.notes.append(f"{what}: {count}")

    def read_served(self):
        """Returns the newest checkpoint if one of the keys signed it."""
        content = self.export.read("checkpoint")
        if content is None:
            raise Unverifiable('The directory has no file "checkpoint", so it is no complete export.')
        note = content.decode("utf-8", "replace")
        opened = open_checkpoint(note, self.keys, self.witnesses)
        problem = opened if isinstance(opened, str) else None if opened.is_signed else "is not signed by a given key"
        if problem:
            self.findings.find(f"the checkpoint {problem}")
            return None
        for problem in opened.problems:
            self.findings.find(f"the checkpoint {problem}")
        if self.policy and not self.policy.is_quorum(cosigners(note, self.witnesses)):
            self.findings.find("the checkpoint does not have the cosignatures that the policy requires")
        return opened

    def read_records(self, tiles: Tiles, trees: TwoTrees, check: HeadCheck, on_record, unreadable: list) -> None:
        """Reads all records, and compares the tree that they make with every checkpoint."""
        check.compare_at(0)
        for index in range(-(-self.size // TILE)):
            start, width = index * TILE, tile_width(0, index, self.size)
            stored = tiles.read(0, index, width)
            leaves = tiles.read("entries", index, width)
            if leaves is None:
                unreadable.append((start, start + width - 1))
            hashes = stored if leaves is None else [hash_leaf(leaf) for leaf in leaves]
            # The tree is unknown from here on, unless a tile above has the hash of this one.
            is_known = trees.records.size == start
            if is_known and hashes is None:
                self.append_from_above(index, tiles, trees)
            for at in range(width if hashes else 0):
                digest, other = hashes[at], (stored or hashes)[at]
                if is_known:
                    trees.append(digest, other)
                if leaves is not None:
                    leaf = parse_leaf(leaves[at])
                    if digest != other:
                        check.suspects.append((start + at, leaf, tile_path(0, index, width)))
                    elif leaf:
                        on_record(leaf, start + at)
                    else:
                        self.findings.find_record(start + at, None, "is not a record of this service")
                        unreadable.append((start + at, start + at))
                if is_known:
                    check.compare_at(start + at + 1)
            if trees.records.size == start + TILE:
                check.compare_at(start + TILE)
        check.finish()

    def append_from_above(self, index: int, tiles: Tiles, trees: TwoTrees) -> None:
        above = index // TILE
        hashes = tiles.peek(1, above, tile_width(1, above, self.size)) or []
        if index % TILE < len(hashes):
            trees.append_tile(hashes[index % TILE])

    def check_upper_tiles(self, tiles: Tiles, row: list, is_signed: bool) -> None:
        level = 1
        while self.size >= TILE**level:
            above = []
            for index in range(-(-(self.size // TILE**level) // TILE)):
                width = tile_width(level, index, self.size)
                known = row[index * TILE : index * TILE + width]
                stored = tiles.read(level, index, width)
                if stored is not None and stored[: len(known)] != known:
                    problem = "was changed" if is_signed else "does not have the hashes of the records"
                    self.findings.find(f"{tile_path(level, index, width)} {problem}")
                if len(known) == TILE:
                    above.append(tile_root(known))
            row, level = above, level + 1

    def report_missing(self, tiles: Tiles, minimum_index: int) -> bool:
        """Reports the tiles that are missing, unless they were pruned. Returns whether any was."""
        is_any_pruned = False
        for level, index, width in tiles.missing:
            if level in (0, "entries") and (index + 1) * TILE <= minimum_index:
                is_any_pruned = True
            else:
                self.findings.find(f"{tile_path(level, index, width)} is missing")
        return is_any_pruned

    def check_personal(self, content: bytes, tiles: Tiles, erasures: Erasures, unreadable: list) -> int:
        """Compares the personal texts with what the records commit to. Returns how many were erased."""
        lines = self.read_personal(content)
        line = next(lines, None)
        erased = 0
        hidden = iter(unreadable)
        first, last = next(hidden, (self.size, self.size))
        for index in range(-(-self.size // TILE)):
            leaves = tiles.peek("entries", index, tile_width(0, index, self.size)) or []
            for at in range(tile_width(0, index, self.size)):
                record, own = index * TILE + at, None
                if line and line[0] == record:
                    own, line = line, next(lines, None)
                while last < record:
                    first, last = next(hidden, (self.size, self.size))
                leaf = parse_leaf(leaves[at]) if at < len(leaves) and record < first else None
                if leaf:
                    erased += self.check_texts(record, leaf, own or (record, None, None), erasures)
        for _ in lines:
            pass
        return erased

    def check_texts(self, index: int, leaf: dict, line: tuple, erasures: Erasures) -> int:
        erased = 0
        for role, text in zip(("by", "about"), line[1:]):
            if is_committed(leaf.get(role, {}).get("private"), text):
                continue
            if text is None and erasures.covers(leaf, index, role):
                erased += 1
            else:
                problem = f"had its {role}_private {'removed' if text is None else 'changed'}"
                self.findings.find_record(index, leaf, problem)
        return erased

    def read_personal(self, content: bytes):
        """Yields the lines that are in order, and reports the others."""
        previous = -1
        lines = content.decode("utf-8", "replace").split("\n")
        for number, text in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
            name = f"line {number} of private.ndjson"
            line = parse_line(text)
            if line is None:
                self.findings.find(f"{name} is malformed")
            elif line[0] >= self.size:
                self.findings.find(f"{name} is of no record")
            elif line[0] <= previous:
                self.findings.find(f"{name} is out of order")
            else:
                previous = line[0]
                yield line

    def text(self) -> str:
        """Returns the findings, one per line, then the result and the notes."""
        records = f"{self.size:,} {'record' if self.size == 1 else 'records'}"
        count = self.findings.count
        rest = count - len(self.findings.listed)
        lines = list(self.findings.listed)
        if rest > 0:
            lines.append(f"{rest:,} more {'finding' if rest == 1 else 'findings'}")
        if count == 0:
            lines.append(f"The audit log is intact: {records}.")
        else:
            found = f"{count:,} {'finding' if count == 1 else 'findings'}"
            lines.append(f"The audit log was tampered with: {found} in {records}.")
        lines += [f"Note: {note}." for note in self.notes]
        return "".join(f"{printable(line)}\n" for line in lines)


def parse_line(text: str) -> tuple | None:
    try:
        line = parse_json(text)
    except ValueError:
        return None
    if not isinstance(line, dict) or not {"by", "about"} <= line.keys():
        return None
    index = to_count(line.get("index"))
    texts = (line["by"], line["about"])
    is_whole = index is not None and all(text is None or isinstance(text, str) for text in texts)
    return (index, *texts) if is_whole else None


def printable(line: str) -> str:
    """Escapes what a terminal would act on, as AuditTrail does."""
    hidden = lambda char: re.match("[\x7f-\x9f\u2028\u2029]", char) or unicodedata.category(char) == "Cf"
    escape = lambda char: json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"
    return "".join(escape(char) if hidden(char) else char for char in line)


def read_input(flag: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--{flag}: {json.dumps(path)} cannot be read ({error.strerror}).") from error


def read_keys(value: str) -> list:
    """Returns the key that the value is, or those of the file that it names."""
    literal = parse_key(value)
    if literal:
        return [literal]
    lines = read_input("vkey", value).decode("utf-8", "replace").split("\n")
    keys = [parse_key(line.strip()) for line in lines if line.strip()]
    if None in keys:
        raise UsageError("--vkey: the file has a line that is no verifier key (NAME+ID+KEY).")
    return keys


def read_policy(path: str) -> Policy:
    try:
        return parse_policy(read_input("policy", path))
    except PolicyError as error:
        raise UsageError(f"--policy: the file is not a policy: {error}.") from error


def read_given(path: str, content: bytes, keys: list, witnesses: list) -> tuple[list, list]:
    """Reads checkpoints that the auditor has kept: one, or a file of many. Returns notes about it too."""
    kept, skipped = kept_notes(content.decode("utf-8", "replace"))
    given = []
    for number, note in enumerate(kept, 1):
        label = f"{path}: checkpoint {number}"
        opened = open_checkpoint(note, keys, witnesses)
        problem = opened if isinstance(opened, str) else next(iter(opened.problems), None)
        if problem:
            raise Unverifiable(f"{label} {problem}.")
        if not opened.is_signed:
            raise Unverifiable(f"{label} is not signed by a given key.")
        name = f"{label} (size {opened.size})"
        given.append(Head(name, opened.size, opened.root, origin=opened.origin, file=path))
    if not given:
        raise Unverifiable(f"{path} has no checkpoint.")
    parts = "part that is" if skipped == 1 else "parts that are"
    return given, [f"{path} has {skipped} {parts} no checkpoint"] if skipped else []


def verify(directory: str, vkeys: list, policy_path: str | None, checkpoints: list) -> tuple[int, str, str]:
    """Returns the exit code, and what goes to standard output and standard error."""
    try:
        policy = read_policy(policy_path) if policy_path is not None else None
        keys = [key for value in vkeys for key in read_keys(value)] + (policy.keys if policy else [])
        if not keys:
            raise UsageError("Add --vkey with the key of the log. Take it from the operator, not from the export.")
        contents = [(path, read_input("checkpoint", path)) for path in checkpoints]
    except UsageError as error:
        return 2, "", f"verify_audit: {error}\n"
    try:
        export = Export(directory)
        witnesses = policy.witnesses if policy else []
        read = [read_given(path, content, keys, witnesses) for path, content in contents]
        verification = Verification(export, keys, policy, [head for heads, _ in read for head in heads])
        verification.notes += [note for _, notes in read for note in notes]
        verification.run()
    except Unverifiable as error:
        return 3, "", f"verify_audit: The audit log could not be checked: {printable(str(error))}\n"
    return (1 if verification.findings.count else 0), verification.text(), ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an export of AuditTrail's audit log, offline.")
    parser.add_argument("directory", metavar="DIR")
    parser.add_argument("--vkey", metavar="KEY", action="append", default=[], help="key of the log, or a file of them")
    parser.add_argument("--policy", metavar="FILE", help="require the cosignatures of this witness policy")
    parser.add_argument(
        "--checkpoint", metavar="FILE", action="append", default=[], help="require that the log continues these"
    )
    given = parser.parse_args()
    code, output, problem = verify(given.directory, given.vkey, given.policy, given.checkpoint)
    sys.stdout.write(output)
    sys.stderr.write(problem)
    return code


if __name__ == "__main__":
    sys.exit(main())
