"""Key files: written whole or not at all, readable by their owner alone.

An identity is a PKCS#8 PEM file that other tools can read. The keys of a round (HPKE key,
verify key, state key) are small JSON files. Both take a passphrase, stretched with scrypt.
Reading refuses symbolic links, anything that is no regular file, files of another user,
and files that group or others can touch. Every refusal is a KeyFileError; none shows a key.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import unicodedata
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from grievance.crypto import pkcs8
from grievance.crypto.documents import b64encode, canonical, parse_canonical
from grievance.crypto.hpke import KEMS, HpkePrivateKey
from grievance.crypto.signing import SigningKey, SigningKeySeed
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, KeyFileError, after_fault
from grievance.failpoints import failpoint
from grievance.secret import Secret, StateKey, VerifyKey

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_SIZE = 1 << 14
_NONCE_SIZE = 12
_PUT_BACK = (
    "put the right file back from a backup; without it nothing can be done that needs this key, "
    "and no other key stands in for it"
)
_S = TypeVar("_S", bound=Secret)


def write_identity(path: Path, key: SigningKey, passphrase: str | None = None) -> None:
    """Write an organisation's identity. Raises KeyFileError, also when the file exists."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(key.export().reveal())
    if passphrase is None:
        data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        data = pkcs8.encrypt(der, _passphrase(passphrase))
    write_file(path, data)


def read_identity(path: Path, passphrase: str | None = None) -> SigningKey:
    """Read an organisation's identity. Raises KeyFileError."""
    data = read_file(path)
    encrypted = data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    _check_passphrase(path, encrypted=encrypted, passphrase=passphrase)
    try:
        key = load_pem_private_key(data, _passphrase(passphrase) if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise _wrong_passphrase(path) from None
        raise KeyFileError(f"{path} is not a PKCS#8 private key", code="key.syntax") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyFileError(
            f"{path} holds a key of another type than Ed25519",
            code="key.type",
            hint=_PUT_BACK,
        )
    return SigningKey(SigningKeySeed(key.private_bytes_raw()))


def write_hpke_key(path: Path, key: HpkePrivateKey, passphrase: str | None = None) -> None:
    """Write a round's HPKE key. Raises KeyFileError, also when the file exists."""
    _write_secret(path, f"grievance/2 hpke key {key.kem}", key.export(), passphrase)


def read_hpke_key(path: Path, passphrase: str | None = None) -> HpkePrivateKey:
    """Read a round's HPKE key. Raises KeyFileError."""
    kinds = {f"grievance/2 hpke key {kem}": kem for kem in KEMS}
    kind, secret = _read_secret(path, list(kinds), passphrase)
    return HpkePrivateKey.from_export(kinds[kind], Secret(secret))


def write_verify_key(path: Path, key: VerifyKey, passphrase: str | None = None) -> None:
    """Write a round's verify key. Raises KeyFileError, also when the file exists."""
    _write_secret(path, "grievance/2 verify key", key, passphrase)


def read_verify_key(path: Path, passphrase: str | None = None) -> VerifyKey:
    """Read a round's verify key. Raises KeyFileError."""
    return _fixed_size(path, VerifyKey, "grievance/2 verify key", passphrase)


def write_state_key(path: Path, key: StateKey, passphrase: str | None = None) -> None:
    """Write a round's state key. Raises KeyFileError, also when the file exists."""
    _write_secret(path, "grievance/2 state key", key, passphrase)


def read_state_key(path: Path, passphrase: str | None = None) -> StateKey:
    """Read a round's state key. Raises KeyFileError."""
    return _fixed_size(path, StateKey, "grievance/2 state key", passphrase)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600, complete and durable, or leave nothing behind.

    An existing file is never replaced: a key that was overwritten is gone for good.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        failpoint("key.begin")
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            failpoint("key.written")
            # link() and not rename(): it fails where the name is taken already
            os.link(temporary, path, follow_symlinks=False)
            failpoint("key.linked")
        finally:
            temporary.unlink()
        _sync_folder(path.parent)
        failpoint("key.done")
    except FileExistsError:
        raise KeyFileError(
            f"{path} exists already",
            code="key.exists",
            hint="a key file is never overwritten; move it away first if it is not needed",
        ) from None
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be written: {error.strerror}", hint=after_fault(error)
        ) from None


def read_file(path: Path) -> bytes:
    """Read a file that its owner alone can touch. Raises KeyFileError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block
    try:
        descriptor = os.open(path, flags)
        try:
            _check_owner(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_FILE_SIZE + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise KeyFileError(
            f"there is no key file {path}", code="key.missing", hint=_PUT_BACK
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyFileError(f"{path} is a symbolic link", code="key.symlink") from None
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_SIZE:
        raise KeyFileError(f"{path} is too long for a key file", code="key.syntax")
    return data


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is not a regular file", code="key.regular")
    if status.st_uid != os.geteuid():
        raise KeyFileError(f"{path} belongs to another user", code="key.owner")
    if status.st_mode & 0o077:
        raise KeyFileError(
            f"{path} can be touched by others (mode {stat.S_IMODE(status.st_mode):04o})",
            code="key.mode",
            hint=f"if nobody else has read it, run: chmod 600 {path}; otherwise make a new key",
        )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_secret(path: Path, kind: str, secret: Secret, passphrase: str | None) -> None:
    body: dict[str, object] = {"kind": kind}
    if passphrase is None:
        body["secret"] = b64encode(secret.reveal())
    else:
        salt, nonce = secrets.token_bytes(pkcs8.SALT_SIZE), secrets.token_bytes(_NONCE_SIZE)
        cipher = AESGCM(pkcs8.derive(_passphrase(passphrase), salt))
        box = cipher.encrypt(nonce, secret.reveal(), kind.encode())
        body |= {"salt": b64encode(salt), "nonce": b64encode(nonce), "sealed": b64encode(box)}
    write_file(path, canonical(body))


def _read_secret(path: Path, kinds: list[str], passphrase: str | None) -> tuple[str, bytes]:
    """Return the kind found and the secret's bytes."""
    try:
        value = parse_canonical(read_file(path), MAX_FILE_SIZE)
    except KeyFileError:
        raise
    except GrievanceError:
        raise KeyFileError(f"{path} is not a key file", code="key.syntax") from None
    encrypted = isinstance(value, dict) and "sealed" in value
    keys = ("kind", "nonce", "salt", "sealed") if encrypted else ("kind", "secret")
    fields = StrictObject(value, keys, where=str(path), error=KeyFileError, code="key.syntax")
    kind = fields.text("kind")
    if kind not in kinds:
        raise KeyFileError(f"{path} holds another kind of key", code="key.type", hint=_PUT_BACK)
    _check_passphrase(path, encrypted=encrypted, passphrase=passphrase)
    if passphrase is None:
        return kind, fields.blob("secret")
    cipher = AESGCM(pkcs8.derive(_passphrase(passphrase), fields.blob("salt", pkcs8.SALT_SIZE)))
    try:
        box = fields.blob("sealed")
        return kind, cipher.decrypt(fields.blob("nonce", _NONCE_SIZE), box, kind.encode())
    except InvalidTag:
        raise _wrong_passphrase(path) from None


def _fixed_size(path: Path, secret_type: type[_S], kind: str, passphrase: str | None) -> _S:
    _, data = _read_secret(path, [kind], passphrase)
    if len(data) != secret_type.SIZE:
        raise KeyFileError(f"{path} holds a key of the wrong length", code="key.length")
    return secret_type(data)


def _passphrase(text: str) -> bytes:
    """Return the bytes of a passphrase, alike on every keyboard. Raises KeyFileError if empty."""
    if not text:
        raise KeyFileError("an empty passphrase protects nothing", code="key.passphrase")
    return unicodedata.normalize("NFC", text).encode()


def _check_passphrase(path: Path, *, encrypted: bool, passphrase: str | None) -> None:
    if encrypted and passphrase is None:
        raise KeyFileError(f"{path} is protected by a passphrase", code="key.passphrase")
    if not encrypted and passphrase is not None:
        raise KeyFileError(f"{path} has no passphrase, but one was given", code="key.passphrase")


def _wrong_passphrase(path: Path) -> KeyFileError:
    return KeyFileError(f"the passphrase does not open {path}", code="key.passphrase")
