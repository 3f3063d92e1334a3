"""The checkpoints that the records must fit: the newest, those that the log kept, and the auditor's."""

from dataclasses import dataclass

from merkle import TwoTrees
from signed_notes import Checkpoint, open_checkpoint, split_notes

KEY_CHANGES = ("secret_key.changed", "key.reset", "audit.restored")


@dataclass(frozen=True)
class Head:
    name: str
    size: int
    root: bytes
    is_signed: bool = True
    # Of a checkpoint that the auditor has kept: the name that the log had, and its file.
    origin: str = ""
    file: str | None = None


def read_kept(content: bytes, keys: list, witnesses: list, end: int, find):
    """Yields the checkpoints that the export has kept, and reports what is wrong with them."""
    notes, rest = split_notes(content.decode("utf-8", "replace"))
    previous, is_whole = -1, True
    for number, note in enumerate(notes, 1):
        name = f"kept checkpoint {number}"
        opened = open_checkpoint(note, keys, witnesses)
        if isinstance(opened, str):
            find(f"{name} {opened}")
            is_whole = False
            continue
        for problem in opened.problems:
            find(f"{name} {problem}")
        name = f"{name} (size {opened.size})"
        if opened.size > end:
            is_whole = False
            find(f"{name} is beyond the end of the log at {end}")
        elif opened.size <= previous:
            find(f"{name} is out of order")
        else:
            previous = opened.size
            yield Head(name, opened.size, opened.root, opened.is_signed)
    if rest:
        find(f"the kept checkpoints are malformed after number {len(notes)}")
    elif is_whole and previous < end and end > 0:
        find(f"the kept checkpoints end before the checkpoint (size {end})")


def heads_in_order(kept: bytes | None, given: list, served: Checkpoint, keys: list, witnesses: list, find):
    """Yields all checkpoints up to the newest by their sizes."""
    others = sorted((head for head in given if head.size <= served.size), key=lambda head: head.size)
    for head in read_kept(kept, keys, witnesses, served.size, find) if kept is not None else ():
        while others and others[0].size < head.size:
            yield others.pop(0)
        yield head
    yield from others
    yield Head(f"the checkpoint (size {served.size})", served.size, served.root)


def span_text(first: int, last: int) -> str:
    """Returns where the change is, if it can be told."""
    if last < first:
        return ""
    return f": the change is in record {last}" if first == last else f": the change is in records {first} to {last}"


class HeadCheck:
    """Compares the trees with the checkpoints, and decides which of them is wrong where they differ."""

    def __init__(self, trees: TwoTrees, heads, findings, on_record, unreadable: list) -> None:
        self._trees, self._heads, self._findings = trees, heads, findings
        self._on_record, self._unreadable = on_record, unreadable
        self._next: Head | None = None
        self._has_begun = False
        # The sizes of the last checkpoints that the records fit: of any, and of those that were given.
        self._agreed = self._agreed_given = 0
        self._is_explained = False
        self.suspects: list = []
        self.undecided: list = []
        self.uncompared = 0
        self.is_signed = False

    def _advance(self) -> None:
        self._has_begun = True
        self._next = next(self._heads, None)

    def compare_at(self, size: int) -> None:
        """Compares the checkpoints of this size. Those of smaller ones have been passed by."""
        if not self._has_begun:
            self._advance()
        while self._next and self._next.size <= size:
            if self._next.size < size:
                self.uncompared += 1
            else:
                self._compare(self._next)
            self._advance()

    def finish(self) -> None:
        while self._next:
            self.uncompared += 1
            self._advance()
        self._decide("neither")

    def _compare(self, head: Head) -> None:
        fits = self._trees.has_root(head.root)
        is_given = head.file is not None
        # A kept checkpoint proves nothing about someone who has the key.
        start = self._agreed_given if is_given else self._agreed
        problem = None if fits else f"{head.name} does not fit the records{span_text(start, head.size - 1)}"
        if not head.is_signed or is_given:
            self.undecided.append((head, problem))
        elif problem and not self._is_explained:
            self._findings.find(problem)
        # A restore may explain why a given one does not fit.
        if not head.is_signed or (is_given and not fits):
            return
        self._decide(self._trees.settle(head.root))
        self._is_explained = not fits
        self.is_signed = fits
        if fits:
            self._agreed = head.size
        if fits and is_given:
            self._agreed_given = head.size

    def _decide(self, right: str) -> None:
        reported = None
        for index, leaf, tile in self.suspects:
            if right == "records":
                if tile != reported:
                    self._findings.find(f"{tile} was changed")
                reported = tile
                if leaf:
                    self._on_record(leaf, index)
                    continue
            else:
                problem = "was edited" if right == "tiles" else f"does not have the hash that {tile} has"
                self._findings.find_record(index, leaf, problem)
            self._unreadable.append((index, index))
        self.suspects = []


class Undecided:
    """Decides about checkpoints that records may explain: of a former key, or lost by a restore."""

    def __init__(self, given: list, end: int) -> None:
        self._given, self._end = given, end
        self._last_key_change = -1

    def add(self, leaf: dict, index: int) -> None:
        if leaf["type"] in KEY_CHANGES:
            self._last_key_change = index

    def report(self, compared: list, restores, prunings, find) -> list:
        """Reports those that no record explains. Returns notes about the others."""
        if prunings.is_key_changed:
            self._last_key_change = max(self._last_key_change, prunings.minimum_index)
        notes, unknown = [], 0
        for head, problem in compared:
            if head.is_signed:
                continue
            if head.size > self._last_key_change:
                find(f"{head.name} is not signed by a given key")
            elif problem:
                find(problem)
            else:
                unknown += 1
        if unknown:
            notes.append(f"{unknown} kept checkpoints are signed by a former key that was not given")
        files: dict[str, list] = {}
        for head in self._given:
            files.setdefault(head.file, []).append(head)
        problems = {head.name: problem for head, problem in compared}
        for heads in files.values():
            notes += self._report_given(heads, problems, restores, find)
        return notes

    def _report_given(self, heads: list, problems: dict, restores, find) -> list:
        """Reports the first one that does not fit, and the largest that is beyond the end."""
        losses = [restores.loss_of(head.origin, head.size) for head in heads]
        rest = [head for head, loss in zip(heads, losses) if loss is None]
        misfits = [problems[head.name] for head in rest if problems.get(head.name)]
        if misfits:
            find(misfits[0])
        beyond = [head for head in rest if head.size > self._end]
        if beyond:
            find(f"{max(beyond, key=lambda head: head.size).name} is beyond the end of the log at {self._end}")
        lost = [loss for loss in losses if loss]
        if not lost:
            return []
        return [f"given checkpoints of records that the restore at record {lost[0].index} lost: {len(lost)}"]
