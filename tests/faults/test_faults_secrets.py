"""Faults E8 and E12 to E14: keys that must not be used, and secrets that must not be told.

Every test here is short; tests/secrets drives the same faults in all their forms. Source:
docs/faults.md.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from release_stage import SYNC, codes_in, flat
from scanner import Vault

import grievance
from dishonest import TINY_ANSWERS
from grievance.client.commitment import SALT_SIZE
from grievance.client.report import Report
from grievance.client.seal import draw
from grievance.crypto import keys
from grievance.errors import GrievanceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from release_stage import Stage

SOURCE = Path(grievance.__file__).parent
DOCS = SOURCE.parents[1] / "docs"


def test_e8_a_key_that_must_not_or_cannot_be_used(at: Callable[[str], Stage]) -> None:
    stage = at("checked")
    home = stage.federation.homes["north"]
    path, key = home.root / "identity.pem", home.key
    path.chmod(0o644)
    stage.refused(
        "north",
        *SYNC,
        code="key.mode",
        says="can be touched by others (mode 0644)",
        next_step="chmod 600",
    )
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    other = X25519PrivateKey.generate()
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    stage.refused(
        "north", *SYNC, code="key.type", says="another type than Ed25519", next_step="from a backup"
    )
    path.unlink()
    keys.write_identity(path, key, "right horse")
    for words in ({}, {"GRIEVANCE_PASSPHRASE": "wrong horse"}):
        with stage.unchanged():
            ran = stage.type("north", *SYNC, "--json", env=words)
        assert codes_in(ran) == {"key.passphrase"}
        assert "GRIEVANCE_PASSPHRASE" in ran.err
        assert "horse" not in ran.err


def test_e12_logs_hold_no_secret(
    at: Callable[[str], Stage], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, vault = at("checked"), Vault()
    federation, drawn = stage.federation, []

    def noted(*args: object) -> object:
        drawn.append(draw(*args))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(sys.modules["grievance.client.seal"], "draw", noted)
    caplog.set_level(logging.DEBUG)
    federation.relay("nurses", federation.seal(3, TINY_ANSWERS))
    said = ""
    for name in ("north", "south", "north"):
        for words in (SYNC, ("status", "--json")):
            ran = stage.type(name, *words).done()
            said += ran.out + ran.err
    for one in drawn:
        for opening in one.openings:
            vault.add("salt", opening[:SALT_SIZE])
        vault.add("randomness", one.rand)
        vault.add("commitment", one.commitment)
    for name in federation.aggregators:
        home = federation.homes[name]
        files = home.round_files(stage.round_id)
        vault.add("signing key", home.key.export().reveal())
        vault.add("verify key", keys.read_verify_key(files.verify).reveal())
        vault.add("state key", keys.read_state_key(files.state).reveal())
        vault.add("HPKE key", keys.read_hpke_key(files.hpke).export().reveal())
    assert vault.counts["commitment"] == 3
    said_out_loud = f"debug: {drawn[0].commitment.hex()}".encode()
    assert vault.search(said_out_loud) == {("commitment", "hex")}
    assert vault.search((said + caplog.text).encode()) == set()
    assert len(federation.chain().batches) == 2


def test_e13_errors_hold_no_secret(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """Shares that do not decode, ciphertexts that do not open, answers that do not fit."""
    stage, vault = at("checked"), Vault()
    task, said = stage.federation.task, ""
    secret = os.urandom(4096)
    vault.add("share", secret)
    vdaf, short = task.vdaf, Report(task.digest, secret[:32], secret, (secret, secret))
    for act in (
        lambda: vdaf.decode_input_share(0, secret),
        lambda: vdaf.decode_input_share(1, secret[:63]),
        lambda: vdaf.decode_agg_share(b"\xff" * 16 + secret),
        lambda: short.check(task),
        lambda: Report.from_bytes(secret),
    ):
        with pytest.raises(Exception) as error:  # noqa: PT011  # whichever: it must not tell
            act()
        assert isinstance(error.value, GrievanceError), error.value
        said += "".join(traceback.format_exception(error.value)) + repr(error.value)
    assert vault.search(said.encode()) == set()
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"region": "a-very-private-answer", "problems": []}))
    task_file = tmp_path / "round.json"
    stage.type("north", "round", "invite", str(task_file)).done()
    ran = stage.refused(
        "nurses",
        *("seal", str(task_file), "--trust", task.digest.hex(), "--answers", str(answers)),
        code="answers.choice",
        says="region",
        next_step="the choices are",
    )
    assert "private" not in ran.err + ran.out


def test_e14_memory_is_left_to_the_machine_and_said() -> None:
    """No program keeps its memory off the disk by itself: what to do is in the documentation."""
    text = flat((DOCS / "exposure.md").read_text(encoding="utf-8"))
    for words in ("swap space", "core dump", "encrypt the swap space", "ulimit -c 0"):
        assert words in text
