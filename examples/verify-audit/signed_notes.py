"""Signed notes, checkpoints, cosignatures and witness policies of C2SP, by Ed25519 alone."""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG_KEY = 0x01
WITNESS_KEY = 0x04
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
MAX_COUNT = 2**53 - 1
# What JavaScript calls white space.
SPACES = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
KEY_NAME = re.compile(f"[^{SPACES}+]+")
SIGNATURE_LINE = re.compile("— ([^ ]+) ([^ ]+)")
LINE = "[^\n\r\u2028\u2029]+\n"
NOTE = re.compile(f"((?:{LINE})+\n(?:— {LINE})+)\n")


@dataclass(frozen=True)
class Key:
    name: str
    id: bytes
    public: bytes

    def has_signed(self, message: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message.encode())
            return True
        except (InvalidSignature, ValueError):
            return False


@dataclass(frozen=True)
class Signature:
    name: str
    id: bytes
    signature: bytes

    def is_of(self, key: Key) -> bool:
        return (self.name, self.id) == (key.name, key.id)


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes
    is_signed: bool
    problems: list


def from_base64(text: str) -> bytes | None:
    """Returns None unless the text is the canonical encoding of at least one byte."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if data and base64.b64encode(data).decode() == text else None


def parse_key(vkey: str, kind: int = LOG_KEY) -> Key | None:
    match = re.fullmatch("([^+]+)[+]([0-9a-f]{8})[+]([^\n\r\u2028\u2029]+)", vkey)
    if not match or not KEY_NAME.fullmatch(match[1]):
        return None
    name, key_id, encoded = match.groups()
    typed = from_base64(encoded)
    if typed is None or len(typed) != 33 or typed[0] != kind:
        return None
    digest = hashlib.sha256(f"{name}\n".encode() + typed).digest()[:4]
    return Key(name, digest, typed[1:]) if digest.hex() == key_id else None


def split_notes(text: str) -> tuple[list, str]:
    """Returns the notes of a file, and what follows the last complete one."""
    notes, end = [], 0
    while match := NOTE.match(text, end):
        notes.append(match[1])
        end = match.end()
    return notes, text[end:]


def kept_notes(text: str) -> tuple[list, int]:
    """Returns the notes that follow one another, and how many parts are none, such as half a note."""
    paragraphs = [part for part in re.split("\n\n+", text.strip("\n")) if part]
    notes, skipped, head = [], 0, None
    for paragraph in paragraphs:
        if not all(line.startswith("— ") for line in paragraph.split("\n")):
            skipped += head is not None
            head = paragraph
            continue
        note = f"{head}\n\n{paragraph}\n"
        if head is not None and split_note(note) and parse_head(note):
            notes.append(note)
        else:
            skipped += 1
        head = None
    return notes, skipped + (head is not None)


def split_note(note: str) -> tuple[str, list] | None:
    if len(note.encode("utf-16-le")) // 2 > MAX_NOTE or re.search("[\x00-\x09\x0b-\x1f]", note):
        return None
    split = note.rfind("\n\n")
    if split < 0 or not note.endswith("\n"):
        return None
    lines = note[split + 2 : -1].split("\n")
    signatures = [parse_signature(line) for line in lines]
    if len(lines) > MAX_SIGNATURES or None in signatures:
        return None
    return note[: split + 1], signatures


def parse_signature(line: str) -> Signature | None:
    match = SIGNATURE_LINE.fullmatch(line)
    data = from_base64(match[2]) if match else None
    if data is None or len(data) < 5 or not KEY_NAME.fullmatch(match[1]):
        return None
    return Signature(match[1], data[:4], data[4:])


def open_checkpoint(note: str, keys: list, witnesses: list) -> Checkpoint | str:
    """Returns the checkpoint in a note, or why it counts for nothing."""
    text, signatures = split_note(note) or ("", [])
    head = parse_head(text)
    if head is None:
        return "is malformed"
    names = []
    for line in signatures:
        key = next((key for key in keys if line.is_of(key)), None)
        if key and not key.has_signed(text, line.signature):
            return f"has a wrong signature of {key.name}"
        if key:
            names.append(key.name)
    origin, size, root = head
    if names and origin not in names:
        return f"has the name of another log: {origin}"
    problems = [
        f"has a wrong cosignature of {name}"
        for name, key in witnesses
        for line in signatures
        if line.is_of(key) and not is_cosignature(key, text, line)
    ]
    return Checkpoint(origin, size, root, bool(names), problems)


def parse_head(text: str) -> tuple[str, int, bytes] | None:
    origin, size, encoded = (text.split("\n") + ["", ""])[:3]
    root = from_base64(encoded)
    if origin == "" or not re.fullmatch("0|[1-9][0-9]{0,15}", size) or int(size) > MAX_COUNT:
        return None
    return (origin, int(size), root) if root is not None and len(root) == 32 else None


def is_cosignature(key: Key, text: str, line: Signature) -> bool:
    if not line.is_of(key) or len(line.signature) != 72:
        return False
    time = int.from_bytes(line.signature[:8], "big")
    return time < 2**63 and key.has_signed(f"cosignature/v1\ntime {time}\n{text}", line.signature[8:])


def cosigners(note: str, witnesses: list) -> set:
    """Returns the names of the witnesses that have cosigned a checkpoint."""
    text, signatures = split_note(note) or ("", [])
    return {name for name, key in witnesses if any(is_cosignature(key, text, line) for line in signatures)}
