#!/usr/bin/env python3
"""Verifies that one record is in AuditTrail's audit log, by the files of "audittrail audit proof".

Needs Python 3.11 and python3-cryptography. Beside EVENT it reads EVENT.tlog-proof
(c2sp.org/tlog-proof) and, if they are there, the personal texts that the record commits to.
Exits with 0 if the record is in the log, 1 if the proof is wrong, and 2 for wrong usage.
"""

import argparse
import re
import sys
from pathlib import Path

from leaves import is_committed, parse_leaf
from merkle import hash_children, hash_leaf
from policy import Policy
from signed_notes import MAX_COUNT, cosigners, from_base64, open_checkpoint
from verify_audit import UsageError, printable, read_keys, read_policy

PROOF = re.compile("c2sp\\.org/tlog-proof@v1\n(?:extra [A-Za-z0-9+/=]*\n)?index (0|[1-9][0-9]{0,15})\n((?:[^\n]+\n)*)\n")


class WrongProof(Exception):
    pass


def check_proof(leaf: bytes, proof: str, keys: list, policy: Policy | None) -> tuple[int, str]:
    """Returns the index of the record, and the name of the log. Raises WrongProof."""
    match = PROOF.match(proof)
    hashes = [from_base64(line) for line in match[2].split("\n")[:-1]] if match else []
    if not match or int(match[1]) > MAX_COUNT or any(digest is None or len(digest) != 32 for digest in hashes):
        raise WrongProof("the proof is malformed")
    note = proof[match.end() :]
    checkpoint = open_checkpoint(note, keys, policy.witnesses if policy else [])
    if isinstance(checkpoint, str):
        raise WrongProof(f"the checkpoint {checkpoint}")
    if not checkpoint.is_signed:
        raise WrongProof("the checkpoint is not signed by a given key")
    if checkpoint.problems:
        raise WrongProof(f"the checkpoint {checkpoint.problems[0]}")
    if policy and not policy.is_quorum(cosigners(note, policy.witnesses)):
        raise WrongProof("the checkpoint does not have the cosignatures that the policy requires")
    index = int(match[1])
    if not is_included(index, checkpoint.size, hash_leaf(leaf), hashes, checkpoint.root):
        raise WrongProof(f"the record is not record {index} of the log that the checkpoint signs")
    return index, checkpoint.origin


def is_included(index: int, size: int, digest: bytes, proof: list, root: bytes) -> bool:
    """Verifies an inclusion proof (RFC 9162 §2.1.3.2)."""
    if index >= size:
        return False
    at, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if at % 2 == 1 or at == last:
            digest = hash_children(sibling, digest)
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            digest = hash_children(digest, sibling)
        at, last = at // 2, last // 2
    return last == 0 and digest == root


def check_texts(event: Path, leaf: dict) -> None:
    for role in ("by", "about"):
        file = event.with_suffix(f".{role}.json")
        text = file.read_bytes().decode("utf-8", "replace") if file.exists() else None
        if text is not None and not is_committed(leaf.get(role, {}).get("private"), text):
            raise WrongProof(f"{file.name} is not the text that the record commits to")


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify that a record is in AuditTrail's audit log.")
    parser.add_argument("event", metavar="EVENT", type=Path, help="the record, such as event-42.json")
    parser.add_argument("--vkey", metavar="KEY", action="append", default=[], help="key of the log, or a file of them")
    parser.add_argument("--policy", metavar="FILE", help="require the cosignatures of this witness policy")
    given = parser.parse_args()
    try:
        policy = read_policy(given.policy) if given.policy is not None else None
        keys = [key for value in given.vkey for key in read_keys(value)] + (policy.keys if policy else [])
        content = given.event.read_bytes()
        proof = given.event.with_name(f"{given.event.name}.tlog-proof").read_bytes().decode("utf-8", "replace")
        if not keys:
            raise UsageError("Add --vkey with the key of the log.")
    except (UsageError, OSError) as error:
        sys.stderr.write(f"verify_proof: {error}\n")
        return 2
    try:
        index, origin = check_proof(content, proof, keys, policy)
        leaf = parse_leaf(content)
        if leaf is None:
            raise WrongProof("the record is none of AuditTrail")
        check_texts(given.event, leaf)
    except WrongProof as error:
        print(printable(f"The record is not proven: {error}."))
        return 1
    print(printable(f"Record {index} of {origin} is proven: {leaf['time']} {leaf['type']}."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
