"""Key files: owner only, whole or not at all, and silent about what they hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import traceback
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from grievance.crypto import keys
from grievance.crypto.documents import b64encode, canonical
from grievance.crypto.hpke import KEMS, HpkePrivateKey
from grievance.crypto.signing import SigningKey, SigningKeySeed
from grievance.errors import KeyFileError
from grievance.secret import Secret, StateKey, VerifyKey

if TYPE_CHECKING:
    from pathlib import Path

SENTINEL = b"SENTINEL-SENTINEL-SENTINEL-SENTI"
READERS = [
    keys.read_identity,
    keys.read_hpke_key,
    keys.read_verify_key,
    keys.read_state_key,
]


def write_any(path: Path, at: int, passphrase: str | None = None) -> None:
    """Write a key whose bytes are the sentinel, for reader number `at`."""
    if at == 0:
        keys.write_identity(path, SigningKey(SigningKeySeed(SENTINEL)), passphrase)
    elif at == 1:
        secret = Secret(SENTINEL * 3)
        keys.write_hpke_key(path, HpkePrivateKey(KEMS[0], secret), passphrase)
    elif at == 2:
        keys.write_verify_key(path, VerifyKey(SENTINEL), passphrase)
    else:
        keys.write_state_key(path, StateKey(SENTINEL), passphrase)


def refused(reader: object, path: Path, code: str, *args: object) -> None:
    """Reading fails with `code`, and nothing in the whole traceback shows the key."""
    with pytest.raises(KeyFileError) as caught:
        reader(path, *args)  # type: ignore[operator]
    assert caught.value.code == code
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for form in (SENTINEL.decode(), SENTINEL.hex(), b64encode(SENTINEL)):
        assert form not in shown


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_identity_round_trip(tmp_path: Path, passphrase: str | None) -> None:
    key = SigningKey.generate()
    path = tmp_path / "identity.pem"
    keys.write_identity(path, key, passphrase)
    assert keys.read_identity(path, passphrase).export() == key.export()
    assert path.stat().st_mode & 0o7777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["identity.pem"]
    kind = b"ENCRYPTED PRIVATE KEY" if passphrase else b"PRIVATE KEY"
    assert path.read_bytes().startswith(b"-----BEGIN " + kind + b"-----\n")


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_round_key_round_trips(tmp_path: Path, passphrase: str | None) -> None:
    for kem in KEMS:
        key = HpkePrivateKey.generate(kem)
        keys.write_hpke_key(tmp_path / kem, key, passphrase)
        again = keys.read_hpke_key(tmp_path / kem, passphrase)
        assert (again.kem, again.export()) == (kem, key.export())
    verify_key, state_key = VerifyKey.generate(), StateKey.generate()
    keys.write_verify_key(tmp_path / "verify", verify_key, passphrase)
    keys.write_state_key(tmp_path / "state", state_key, passphrase)
    assert keys.read_verify_key(tmp_path / "verify", passphrase) == verify_key
    assert keys.read_state_key(tmp_path / "state", passphrase) == state_key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_openssl_reads_an_identity(tmp_path: Path, passphrase: str | None) -> None:
    key = SigningKey.generate()
    keys.write_identity(tmp_path / "identity.pem", key, passphrase)
    command = ["openssl", "pkey", "-in", str(tmp_path / "identity.pem"), "-pubout", "-outform"]
    command += ["DER", "-passin", f"pass:{passphrase or ''}"]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stdout.endswith(key.public.raw)


@pytest.mark.parametrize("at", range(4))
def test_passphrases(tmp_path: Path, at: int) -> None:
    plain, locked = tmp_path / "plain", tmp_path / "locked"
    write_any(plain, at)
    write_any(locked, at, "correct horse")
    assert SENTINEL not in locked.read_bytes()
    assert b64encode(SENTINEL).encode() not in locked.read_bytes()
    refused(READERS[at], locked, "key.passphrase", "battery staple")
    refused(READERS[at], locked, "key.passphrase")
    refused(READERS[at], locked, "key.passphrase", "")
    refused(READERS[at], plain, "key.passphrase", "correct horse")
    with pytest.raises(KeyFileError):
        write_any(tmp_path / "empty", at, "")
    assert not (tmp_path / "empty").exists()


def test_a_passphrase_is_the_same_on_every_keyboard(tmp_path: Path) -> None:
    write_any(tmp_path / "key", 3, "caf\u00e9")
    assert keys.read_state_key(tmp_path / "key", "cafe\u0301") == StateKey(SENTINEL)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o660, 0o644, 0o777])
def test_files_that_others_can_touch_are_refused(tmp_path: Path, at: int, mode: int) -> None:
    write_any(tmp_path / "key", at)
    (tmp_path / "key").chmod(mode)
    refused(READERS[at], tmp_path / "key", "key.mode")


@pytest.mark.parametrize("at", range(4))
def test_only_regular_files_are_read(tmp_path: Path, at: int) -> None:
    write_any(tmp_path / "key", at)
    (tmp_path / "link").symlink_to(tmp_path / "key")
    refused(READERS[at], tmp_path / "link", "key.symlink")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    refused(READERS[at], tmp_path / "dangling", "key.symlink")
    os.mkfifo(tmp_path / "fifo", 0o600)
    refused(READERS[at], tmp_path / "fifo", "key.regular")
    (tmp_path / "folder").mkdir(mode=0o700)
    refused(READERS[at], tmp_path / "folder", "key.regular")
    refused(READERS[at], tmp_path / "nothing", "key.missing")


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("other", range(4))
def test_keys_of_another_type_are_refused(tmp_path: Path, at: int, other: int) -> None:
    write_any(tmp_path / "key", other)
    if at == other:
        READERS[at](tmp_path / "key")
    else:
        code = "key.syntax" if 0 in (at, other) else "key.type"
        refused(READERS[at], tmp_path / "key", code)


def test_another_pkcs8_key_is_no_identity(tmp_path: Path) -> None:
    key = x25519.X25519PrivateKey.generate()
    keys.write_file(
        tmp_path / "key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    refused(keys.read_identity, tmp_path / "key", "key.type")


def test_damaged_key_files_are_refused(tmp_path: Path) -> None:
    write_any(tmp_path / "good", 2, "correct horse")
    good = (tmp_path / "good").read_bytes()
    kind = "grievance/2 verify key"
    damaged = [
        b"",
        b"{}",
        b"[]",
        good + b"\n",
        bytes(keys.MAX_FILE_SIZE + 1),
        canonical({"kind": kind, "secret": b64encode(SENTINEL), "more": 1}),
        canonical({"kind": kind, "secret": 1}),
        canonical({"kind": kind, "secret": b64encode(SENTINEL) + "="}),
        canonical({"kind": 1, "secret": b64encode(SENTINEL)}),
    ]
    for number, data in enumerate(damaged):
        path = tmp_path / f"damaged-{number}"
        keys.write_file(path, data)
        refused(keys.read_verify_key, path, "key.syntax")
    keys.write_file(tmp_path / "short", canonical({"kind": kind, "secret": "AAAA"}))
    refused(keys.read_verify_key, tmp_path / "short", "key.length")
    keys.write_file(tmp_path / "pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n")
    refused(keys.read_identity, tmp_path / "pem", "key.syntax")


@pytest.mark.parametrize("at", range(4))
def test_a_key_file_is_never_overwritten(tmp_path: Path, at: int) -> None:
    write_any(tmp_path / "key", at)
    before = (tmp_path / "key").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("key", "link"):
        with pytest.raises(KeyFileError) as caught:
            write_any(tmp_path / name, at)
        assert caught.value.code == "key.exists"
    assert (tmp_path / "key").read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["key", "link"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys.os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        keys.write_file(tmp_path / "key", b"data")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    with pytest.raises(KeyFileError):
        keys.write_file(tmp_path / "no" / "such" / "folder", b"data")


def test_a_wide_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.write_file(tmp_path / "key", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o600


def test_somebody_elses_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.write_file(tmp_path / "key", b"data")
    owner = (tmp_path / "key").stat().st_uid
    monkeypatch.setattr(keys.os, "geteuid", lambda: owner + 1)
    refused(keys.read_file, tmp_path / "key", "key.owner")
