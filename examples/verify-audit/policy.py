"""Witness policies (c2sp.org/tlog-policy)."""

import re
from dataclasses import dataclass
from typing import Callable

from signed_notes import LOG_KEY, WITNESS_KEY, parse_key

Component = Callable[[set], bool]
MAX_POLICY = 1_000_000


class PolicyError(Exception):
    pass


@dataclass(frozen=True)
class Policy:
    keys: list
    """Names and keys of the witnesses."""
    witnesses: list
    is_quorum: Component


def parse_policy(data: bytes) -> Policy:
    if len(data) > MAX_POLICY:
        raise PolicyError(f"it has more than {MAX_POLICY} bytes")
    parser = _Parser()
    # Names are opaque octets, so the text has one character per octet.
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        problem = "has a control character" if re.search("[^\t -~\x80-\xff]", line) else parser.add(line)
        if problem:
            raise PolicyError(f"line {number} {problem}")
    if parser.quorum is None:
        raise PolicyError("it has no quorum line")
    return Policy(parser.keys, parser.witnesses, parser.quorum)


class _Parser:
    def __init__(self) -> None:
        self.keys: list = []
        self.witnesses: list = []
        self.components: dict[str, Component] = {}
        self.members: set = set()
        self.quorum: Component | None = None

    def add(self, line: str) -> str | None:
        """Returns what is wrong with the line."""
        keyword, *items = [item for item in re.split("[\t ]+", line) if item] or [""]
        if keyword == "" or keyword.startswith("#"):
            return None
        if keyword == "log":
            return self.add_log(items)
        if keyword == "witness":
            return self.add_witness(items)
        if keyword == "group":
            return self.add_group(items)
        if keyword == "quorum":
            return self.set_quorum(items)
        return "begins with none of log, witness, group and quorum"

    def add_log(self, items: list) -> str | None:
        if len(items) not in (1, 2):
            return 'is not "log VKEY [URL]"'
        key = parse_key(_text(items[0]), LOG_KEY)
        if key is None:
            return "has a log key that is malformed or not Ed25519 (signature type 0x01)"
        if any(key.public == known.public for known in self.keys):
            return "has the key of another log"
        self.keys.append(key)
        return None

    def add_witness(self, items: list) -> str | None:
        if len(items) not in (2, 3):
            return 'is not "witness NAME VKEY [URL]"'
        key = parse_key(_text(items[1]), WITNESS_KEY)
        if key is None:
            return "has a witness key that is malformed or not an Ed25519 cosignature key (signature type 0x04)"
        if any(key.public == known.public for _, known in self.witnesses):
            return "has the key of another witness"
        name = _text(items[0])
        problem = self.define(items[0], lambda cosigners: name in cosigners)
        if problem is None:
            self.witnesses.append((name, key))
        return problem

    def add_group(self, items: list) -> str | None:
        if len(items) < 3:
            return 'is not "group NAME all|any|NUMBER MEMBER…"'
        name, threshold, *names = items
        count = {"all": len(names), "any": 1}.get(threshold)
        if count is None:
            count = int(threshold) if re.fullmatch("[1-9][0-9]{0,8}", threshold) else 0
        if not 1 <= count <= len(names):
            return f"needs all, any, or a number from 1 to {len(names)} before its members"
        members = []
        for member in names:
            if member not in self.components:
                return "has a member that no earlier line defines"
            if member in self.members:
                return "has a member that is in a group already"
            self.members.add(member)
            members.append(self.components[member])
        return self.define(name, lambda cosigners: sum(has(cosigners) for has in members) >= count)

    def set_quorum(self, items: list) -> str | None:
        if len(items) != 1:
            return 'is not "quorum NAME"'
        if self.quorum is not None:
            return "is a second quorum line"
        self.quorum = (lambda _: True) if items[0] == "none" else self.components.get(items[0])
        return None if self.quorum else "names a quorum that no earlier line defines"

    def define(self, name: str, component: Component) -> str | None:
        if name == "none":
            return "defines the name none, which is predefined"
        if name in self.components:
            return "defines a name that is defined already"
        self.components[name] = component
        return None


def _text(octets: str) -> str:
    return octets.encode("latin-1").decode("utf-8", "replace")
