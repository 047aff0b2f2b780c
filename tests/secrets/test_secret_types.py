"""Types that hold secrets: whatever a program does with them by habit shows nothing."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scanner import Vault

from grievance.backup.split import BackupKey, Piece, split
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey, SigningKeySeed
from grievance.pipelines import Seat
from grievance.pipelines.rows import Opened, Verified
from grievance.pool.decisions import VerifierShares
from grievance.secret import Secret, StateKey, VerifyKey
from grievance.testing import EXAMPLE_PLAN, make_coalition, with_envelope

DATA = bytes(range(101, 133))


@dataclass
class Holder:
    """What anybody may write around a secret."""

    secret: object


def made() -> dict[str, tuple[object, bytes]]:
    """One of each type, with the bytes it must not show."""
    key = BackupKey(DATA)
    hybrid = DATA * 3
    return {
        "Secret": (Secret(DATA), DATA),
        "VerifyKey": (VerifyKey(DATA), DATA),
        "StateKey": (StateKey(DATA), DATA),
        "SigningKeySeed": (SigningKeySeed(DATA), DATA),
        "BackupKey": (key, DATA),
        "Piece": (Piece(DATA), DATA),
        "SigningKey": (SigningKey(SigningKeySeed(DATA)), DATA),
        "X25519": (HpkePrivateKey("X25519", Secret(DATA)), DATA),
        "MLKEM768_X25519": (HpkePrivateKey("MLKEM768_X25519", Secret(hybrid)), hybrid),
    }


MADE = made()
SHOWN: dict[str, Callable[[object], object]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret}{secret!r}{secret!s:>90}{secret!a}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "format": lambda secret: "{} {!r}".format(secret, secret),  # noqa: UP032
    "inside a list": lambda secret: repr([secret, (secret,), {"key": secret}]),
    "inside a dataclass": lambda secret: repr(Holder(secret)),
    "pprint": lambda secret: pprint.pformat([secret]),
    "json with a default": lambda secret: json.dumps([secret], default=repr),
    "an exception": lambda secret: f"{ValueError(secret)!r} {ValueError(secret)}",
    "dir": lambda secret: repr(dir(secret)),
}
REFUSED: dict[str, Callable[[object], object]] = {
    "pickle": pickle.dumps,
    "old pickle": lambda secret: pickle.dumps(secret, 0),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda secret: dataclasses.asdict(Holder(secret)),
    "astuple": lambda secret: dataclasses.astuple(Holder(secret)),
    "json": json.dumps,
    "bytes": bytes,
    "vars": vars,
    "iteration": list,  # type: ignore[dict-item]
    "length": len,  # type: ignore[dict-item]
    "state": lambda secret: secret.__getstate__(),
}


@pytest.mark.parametrize("how", SHOWN)
@pytest.mark.parametrize("name", MADE)
def test_what_is_shown_says_nothing(name: str, how: str) -> None:
    secret, data = MADE[name]
    vault = Vault()
    vault.add("secret", data)
    assert not vault.search(str(SHOWN[how](secret)).encode())


@pytest.mark.parametrize("how", REFUSED)
@pytest.mark.parametrize("name", MADE)
def test_what_would_copy_the_bytes_is_refused(name: str, how: str) -> None:
    secret, data = MADE[name]
    with pytest.raises(TypeError) as caught:
        REFUSED[how](secret)
    vault = Vault()
    vault.add("secret", data)
    assert not vault.search(repr(caught.value).encode())


@pytest.mark.parametrize("name", MADE)
def test_a_log_line_says_nothing(name: str) -> None:
    secret, data = MADE[name]
    out = io.StringIO()
    log = logging.getLogger("grievance.test_secret_types")
    handler = logging.StreamHandler(out)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        log.debug("a key: %s %r", secret, secret)
        log.debug("a key: %(key)s", {"key": secret})
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("it failed")
    finally:
        log.removeHandler(handler)
    vault = Vault()
    vault.add("secret", data)
    assert len(out.getvalue()) > 100
    assert not vault.search(out.getvalue().encode())


def test_comparing_takes_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison goes through `hmac.compare_digest`, and an equal secret is equal."""
    import hmac

    seen = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for kind in (Secret, VerifyKey, StateKey, SigningKeySeed, BackupKey, Piece):
        seen.clear()
        assert kind(DATA) == kind(DATA)
        assert kind(DATA) != kind(DATA[::-1])
        assert len(seen) == 2
        assert kind(DATA) != DATA and kind(DATA) != "key"
        with pytest.raises(TypeError):
            hash(kind(DATA))


@pytest.mark.parametrize("envelope", ["hybrid", "x25519"])
def test_what_works_with_keys_shows_none(envelope: str) -> None:
    """The objects that carry keys, shares and findings through a round have no telling repr."""
    coalition = make_coalition(with_envelope(EXAMPLE_PLAN, envelope))
    vault = Vault()
    key, verify_key = coalition.hpke_keys[0], coalition.verify_key
    vault.add("HPKE key", key.export().reveal())
    vault.add("verify key", verify_key.reveal())
    vault.add("share", DATA)
    vault.add_elements("sum", [int.from_bytes(DATA[:16], "big")])
    seat = Seat(coalition.task, 0, key, verify_key)
    opened = Opened([DATA], [DATA], bytearray(1), [DATA], [DATA], [DATA])
    findings = VerifierShares(bytes(1), DATA)
    verified = Verified(findings, [int.from_bytes(DATA[:16], "big")])
    for one in (seat, opened, findings, verified, key, verify_key, coalition):
        assert not vault.search(f"{one!r} {one}".encode()), type(one).__name__


def test_pieces_of_a_split_key_show_nothing() -> None:
    key = BackupKey(DATA)
    pieces = split(key, 2, 3)
    vault = Vault()
    for piece in pieces:
        vault.add("piece", piece.reveal())
    assert not vault.search(repr(pieces).encode())
