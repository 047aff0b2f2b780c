"""After `round destroy` nothing is left that opens an archived report: every byte is tried.

The attacker has the whole home of every aggregator, the pool, and a copy of the pool from before.
It takes every 32 bytes at every place of every file, free pages and logs included, as they lie
there and out of base64 and hex, and tries them as the round's keys.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dishonest import TINY_ANSWERS, TINY_PLAN
from federation import Federation
from grievance.aggregator import Office
from grievance.aggregator import destroy as destroying
from grievance.aggregator.state import State
from grievance.wire import length_prefixed

SIZE = 32
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{43,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){32,}")


def strings(data: bytes) -> list[bytes]:
    """The bytes themselves, and what is written in them as base64 or hex."""
    found = [data]
    for run in _BASE64.findall(data):
        plain = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            whole = plain[start : start + (len(plain) - start) // 4 * 4]
            found.append(b64decode(whole))
            rest = plain[start + len(whole) :]
            if len(rest) > 1:  # the last bytes, which come without their padding
                found[-1] += b64decode(rest + b"=" * (-len(rest) % 4))
    found += [
        bytes.fromhex(run[start:][: (len(run) - start) // 2 * 2].decode())
        for run in _HEX.findall(data)
        for start in (0, 1)
    ]
    return found


def candidates(files: list[Path]) -> set[bytes]:
    """Every 32 bytes that could be a key: not all of them ASCII, nearly all of them different.

    Of 2^32 random keys one is left out by the first rule, and fewer by the second.
    """
    found: set[bytes] = set()
    for path in files:
        for text in strings(path.read_bytes()):
            if len(text) < SIZE:
                continue
            array = np.frombuffer(text, np.uint8)
            windows = np.lib.stride_tricks.sliding_window_view(array, SIZE)
            windows = windows[(windows > 127).any(axis=1)]
            ordered = np.sort(windows, axis=1)
            distinct = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
            found.update(row.tobytes() for row in windows[distinct >= 20])
    return found


class Target:
    """What the keys of a round open, kept from before it was destroyed."""

    def __init__(self, federation: Federation) -> None:
        self.task = federation.task
        self.publics = {party.hpke.x25519_half: party.name for party in self.task.aggregators}
        self.boxes: dict[str, tuple[bytes, bytes]] = {}
        for name in federation.aggregators:
            with Office.open(federation.homes[name]) as office:
                for seq, row in office.state.batches(self.task.digest).items():
                    context = length_prefixed(
                        b"grievance/2 at rest", b"sum", self.task.digest, seq.to_bytes(4, "big")
                    )
                    self.boxes[name] = row.sum, context

    def opened_by(self, keys: set[bytes]) -> set[str]:
        """Which of the round's secrets are among these byte strings."""
        found = set()
        ciphers = list(self.boxes.items())
        for key in keys:
            public = X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
            if public in self.publics:
                found.add(f"reports of {self.publics[public]}")
            if hashlib.sha256(b"grievance/2 verify key" + key).digest() == (
                self.task.verify_key_commitment
            ):
                found.add("verify key")
            cipher = AESGCM(key)
            for name, (box, context) in ciphers:
                try:
                    cipher.decrypt(box[:12], box[12:], context)
                except InvalidTag:
                    continue
                found.add(f"sums of {name}")
        return found


@pytest.fixture
def released(tmp_path: Path) -> Federation:
    federation = Federation.opened(tmp_path / "live", TINY_PLAN)
    federation.relay("nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    federation.release()
    shutil.copytree(federation.pool, tmp_path / "old pool")
    return federation


def destroy_both(federation: Federation) -> None:
    for name in federation.aggregators:
        with Office.open(federation.homes[name]) as office:
            task = office.task(federation.round_id)
            assert task is not None
            destroying.destroy(office, office.chain(task))
            office.publish()
    federation.settle()


def everything(federation: Federation) -> list[Path]:
    """All files of both aggregators, of the pool, and of the old copy of the pool."""
    roots = [federation.homes[name].root for name in federation.aggregators]
    roots += [Path(federation.pool), federation.folder.parent / "old pool"]
    return [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]


ALL = {"reports of north", "reports of south", "verify key", "sums of north", "sums of south"}


@pytest.mark.slow
def test_no_byte_string_anywhere_opens_a_destroyed_round(released: Federation) -> None:
    target = Target(released)
    # The search has power: before, it finds every key where it lies.
    own = [released.homes[name].root for name in released.aggregators]
    lying = [path for root in own for path in (root / "rounds").rglob("*.key")]
    assert target.opened_by(candidates(lying)) == ALL
    destroy_both(released)
    tried = candidates(everything(released))
    assert len(tried) > 20_000
    assert target.opened_by(tried) == set()


def test_no_sealed_sum_is_left_in_free_pages_or_logs(released: Federation) -> None:
    target = Target(released)
    pieces = {
        name: [box[at : at + 16] for at in range(0, len(box) - 16, 16)]
        for name, (box, _) in target.boxes.items()
    }
    assert sums_left(released, pieces) == {"north", "south"}
    destroy_both(released)
    assert sums_left(released, pieces) == set()


def sums_left(federation: Federation, pieces: dict[str, list[bytes]]) -> set[str]:
    found = set()
    for name, parts in pieces.items():
        for path in federation.homes[name].root.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if any(part in data for part in parts):
                    found.add(name)
    return found


def test_a_key_that_is_only_moved_away_is_found(
    released: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the search would say of a `round destroy` that does not delete."""

    def moves(office: Office, task: object) -> list[Path]:
        files = destroying.key_files(office, task)  # type: ignore[arg-type]
        for number, path in enumerate(files):
            path.rename(office.home.root / f".trash-{number}")
        return files

    target = Target(released)
    monkeypatch.setattr(destroying, "finish", moves)
    destroy_both(released)
    hidden = [path for path in everything(released) if path.name.startswith(".trash")]
    assert hidden
    assert target.opened_by(candidates(hidden)) == ALL


def test_a_state_that_is_not_compacted_is_found(
    released: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(released)
    pieces = {
        name: [box[at : at + 16] for at in range(0, len(box) - 16, 16)]
        for name, (box, _) in target.boxes.items()
    }
    monkeypatch.setattr(State, "compact", lambda _state: None)
    real = State.__init__

    def careless(self: State, path: Path) -> None:
        real(self, path)
        self._db.execute("PRAGMA secure_delete = OFF")

    monkeypatch.setattr(State, "__init__", careless)
    destroy_both(released)
    assert sums_left(released, pieces) == {"north", "south"}


def test_strings_are_found_however_they_are_written() -> None:
    import base64
    import secrets

    key = secrets.token_bytes(SIZE)
    for written in (
        key,
        key.hex().encode(),
        base64.b64encode(key),
        base64.urlsafe_b64encode(key),
        base64.b64encode(b"ab" + key + b"c"),
        b"0" + key.hex().encode() + b"f",
    ):
        assert any(key in text for text in strings(b'{"x":"' + written + b'"}')), written
