"""The records of the log: what their leaves say, and what they say about other records."""

import base64
import datetime
import hashlib
import json
import re
from bisect import bisect_left
from dataclasses import dataclass, field

MAX_COUNT = 2**53 - 1
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
RANGES = re.compile("[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
ACCEPTANCE = re.compile("/r([0-9]{17})$")


def parse_json(text: str):
    """Parses JSON as JavaScript does. Raises ValueError."""

    def refuse(constant: str):
        raise ValueError(constant)

    integer = lambda digits: int(digits) if len(digits) < 20 else float(digits)
    try:
        return json.loads(text, parse_constant=refuse, parse_int=integer)
    except RecursionError as error:
        raise ValueError from error


def to_count(value) -> int | None:
    """Returns a whole number from 0 to 2^53 - 1, also one that is written as 1.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


def parse_leaf(content: bytes) -> dict | None:
    """Returns None for a leaf that no version of AuditTrail wrote."""
    try:
        leaf = parse_json(content.decode())
    except ValueError:
        return None
    return leaf if is_leaf(leaf) else None


def is_leaf(leaf) -> bool:
    if not isinstance(leaf, dict) or to_count(leaf.get("v")) != 1:
        return False
    n, done = to_count(leaf.get("n")), to_count(leaf.get("done"))
    return (
        all(isinstance(leaf.get(name), str) for name in ("p", "type", "outcome", "time"))
        and all(isinstance(leaf.get(name, ""), str) for name in ("session", "request"))
        and n is not None
        and done is not None
        and done < n
        and all(name not in leaf or are_ranges_below(n, leaf[name]) for name in ("lost", "unsure"))
        and is_time(leaf["time"])
        and is_party(leaf.get("by"))
        and ("about" not in leaf or is_party(leaf["about"]))
        and isinstance(leaf.get("facts"), dict)
    )


def is_party(party) -> bool:
    return (
        isinstance(party, dict)
        and isinstance(party.get("kind"), str)
        and all(isinstance(party.get(name, ""), str) for name in ("id", "private"))
    )


def is_time(text: str) -> bool:
    if not TIME.fullmatch(text):
        return False
    if text.startswith("0000"):
        text = "2000" + text[4:]
    try:
        datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
        return text[17:19] < "60"
    except ValueError:
        return False


def are_ranges_below(n: int, ranges) -> bool:
    if not isinstance(ranges, str) or not RANGES.fullmatch(ranges):
        return False
    return all(1 <= first <= last < n for first, last in parse_ranges(ranges))


def parse_ranges(ranges: str) -> list:
    numbers = lambda part: [float(number) if len(number) > 15 else int(number or 0) for number in part.split("-")]
    return [(values[0], (values * 2)[1]) for values in map(numbers, ranges.split(","))]


def is_committed(commitment: str | None, text: str | None) -> bool:
    """Returns whether a personal text is the one that a leaf commits to."""
    if text is None:
        return commitment is None
    # A lone surrogate counts as U+FFFD.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return commitment == base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode()


def merge(ranges) -> list:
    """Returns the same numbers as ranges in order, of which none touch."""
    merged: list = []
    for first, last in sorted(map(tuple, ranges)):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return merged


def gaps_in(ranges: list, first, last) -> list:
    """Returns the numbers from `first` to `last` that merged ranges do not have."""
    gaps, start = [], first
    for low, high in ranges:
        if low > last:
            break
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    return gaps + [(start, last)] if start <= last else gaps


def count_of(ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)


class Erasures:
    """What the records of erasures say was erased."""

    def __init__(self) -> None:
        self._parties: dict = {}
        self._pending: set = set()
        self._entered: list = []
        self._aged: list = []

    def add(self, leaf: dict, _index: int) -> None:
        if leaf["type"] != "audit.erased":
            return
        facts = leaf["facts"]
        below, older_than, pending = facts.get("below"), facts.get("older_than"), facts.get("pending")
        indexes = facts.get("indexes")
        if isinstance(older_than, str) and not is_time(older_than):
            return
        if isinstance(indexes, str) and not RANGES.fullmatch(indexes):
            return
        if isinstance(pending, list) and not all(isinstance(event, str) for event in pending):
            return
        if isinstance(pending, list):
            self._pending.update(pending)
        if isinstance(indexes, str):
            self._entered += parse_ranges(indexes)
        if isinstance(below, bool) or not isinstance(below, (int, float)):
            return
        person = leaf.get("about", {}).get("id")
        if person is not None:
            self._parties[person] = max(below, self._parties.get(person, 0))
        elif isinstance(older_than, str):
            self._aged.append((older_than, below))

    def covers(self, leaf: dict, index: int, role: str) -> bool:
        """Returns whether the text of a record may be missing."""
        by, about = leaf["by"].get("id"), leaf.get("about", {}).get("id")
        is_listed = f"{leaf['p']} {to_count(leaf['n'])}" in self._pending
        person = about if role == "about" or by is None else by
        if person in self._parties and (is_listed or index < self._parties[person]):
            return True
        if role == "by" and is_listed and by is None:
            return True
        if role == "by" and any(first <= index <= last for first, last in self._entered):
            return True
        return any(leaf["time"] < older_than and index < below for older_than, below in self._aged)


class Prunings:
    """What the records of prunings say was removed from the beginning of the log."""

    ENTRY = re.compile(r"(\S+) ([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)")

    def __init__(self) -> None:
        self.minimum_index = 0
        self.is_key_changed = False
        self._numbers: dict = {}

    def add(self, leaf: dict, index: int) -> None:
        facts = leaf["facts"]
        minimum, processes = to_count(facts.get("minimum_index")), facts.get("processes")
        if leaf["type"] != "audit.pruned" or minimum is None or not isinstance(processes, list):
            return
        if minimum % 256 != 0 or minimum > index:
            return
        self.minimum_index = max(self.minimum_index, minimum)
        self.is_key_changed = self.is_key_changed or facts.get("key_changed") is True
        for entry in processes:
            if match := self.ENTRY.fullmatch(entry if isinstance(entry, str) else ""):
                self._numbers.setdefault(match[1], []).extend(parse_ranges(match[2]))

    def numbers_of(self, process: str) -> list:
        """Returns the numbers of a process whose events were pruned."""
        return merge(self._numbers.get(process, []))


@dataclass(frozen=True)
class Restore:
    index: int
    origin: str
    size: float
    time: str


class Restores:
    """Restores that were accepted: what the log had from their sizes on is lost."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.list: list = []

    def add(self, leaf: dict, index: int) -> None:
        origin, size = leaf["facts"].get("from"), leaf["facts"].get("size")
        if leaf["type"] != "audit.restored" or not isinstance(origin, str) or isinstance(size, bool):
            return
        if isinstance(size, (int, float)):
            self.list.append(Restore(index, origin, size, re.sub("[^0-9]", "", leaf["time"])))

    def loss_of(self, name: str, size: int) -> Restore | None:
        """Returns the restore that lost what a log of this name had above a size."""
        if name == self._origin or first_name(name) != first_name(self._origin):
            return None
        later = [at for at, restore in enumerate(self.list) if restore.origin == name]
        if not later:
            # A name that only an abandoned copy of the log had.
            accepted = match[1] if (match := ACCEPTANCE.search(name)) else ""
            later = [at for at, restore in enumerate(self.list) if restore.time > accepted]
        after = self.list[later[0] :] if later else []
        return next((restore for restore in after if restore.size < size), None)


def first_name(name: str) -> str:
    while match := ACCEPTANCE.search(name):
        name = name[: match.start()]
    return name


@dataclass
class Process:
    indexes: dict = field(default_factory=dict)
    lost: set = field(default_factory=set)
    unsure: set = field(default_factory=set)
    accepted: set = field(default_factory=set)
    done: int = 0
    highest: int = 0


class ProcessNumbers:
    """The numbers of each process, which every one of its events must explain."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}

    def add(self, leaf: dict, index: int) -> int | None:
        """Returns the index of the record that this one is a copy of."""
        process = self._processes.setdefault(leaf["p"], Process())
        n, done = to_count(leaf["n"]), to_count(leaf["done"])
        if n in process.indexes:
            return process.indexes[n]
        process.indexes[n] = index
        process.highest = max(process.highest, n)
        process.done = max(process.done, done)
        process.lost.update(leaf.get("lost", "").split(","))
        process.unsure.update(leaf.get("unsure", "").split(","))
        accepted, numbers = leaf["facts"].get("process"), leaf["facts"].get("numbers")
        if leaf["type"] == "audit.lost" and isinstance(accepted, str) and isinstance(numbers, str):
            if re.fullmatch("[0-9,-]+", numbers):
                self._processes.setdefault(accepted, Process()).accepted.update(numbers.split(","))
        return None

    def report(self, find, restores: Restores, prunings: Prunings, unreadable: list) -> tuple:
        """Reports events that were removed. Returns how many were lost, in flight and unsure."""
        lost = in_flight = unsure = 0
        for name, process in self._processes.items():
            ranges = lambda texts: [pair for text in sorted(texts) if text for pair in parse_ranges(text)]
            present = merge((n, n) for n in process.indexes)
            kept = merge([*present, *prunings.numbers_of(name)])
            known = merge([*kept, *ranges(process.lost), *ranges(process.unsure)])
            explained = merge([*known, *ranges(process.accepted)])
            removed = gaps_in(explained, 1, process.done)
            lost += count_of(gaps_in(known, 1, process.done)) - count_of(removed)
            in_flight += count_of(gaps_in(known, process.done + 1, process.highest))
            unsure += count_of(merge([*kept, *ranges(process.unsure)])) - count_of(kept)
            numbers = sorted(process.indexes)
            for first, last in removed:
                at = bisect_left(numbers, first)
                after = process.indexes[numbers[at - 1]] if at > 0 else -1
                before = process.indexes[numbers[at]] if at < len(numbers) else float("inf")
                if any(after < restore.size <= before for restore in restores.list):
                    lost += last - first + 1
                    continue
                # Pruned records are explained by their numbers.
                start = prunings.minimum_index
                if any(max(low, start) < before and high > after and high >= start for low, high in unreadable):
                    continue
                report_removed(find, name, first, last, place_text(after, before))
        return lost, in_flight, unsure


def place_text(after: int, before: float) -> str:
    if before == float("inf"):
        return "from the log" if after < 0 else f"after index {after}"
    return f"before index {before}" if after < 0 else f"between the indexes {after} and {before}"


def report_removed(find, process: str, first: int, last: int, place: str) -> None:
    if last - first >= 100:
        find(f"events {first} to {last} of process {process} were removed {place}")
        return
    for n in range(first, last + 1):
        find(f"event {n} of process {process} was removed {place}")
