"""Anchors, signatures, bundles, and the sealed verify key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from grievance.crypto.documents import b64encode, canonical, parse_canonical, sign_document
from grievance.crypto.fingerprint import TASK_GROUPS, short
from grievance.errors import (
    GrievanceError,
    OpenError,
    SignatureError,
    TaskError,
    TrustError,
    WireError,
)
from grievance.secret import VerifyKey
from grievance.task import (
    TrustAnchor,
    bundle,
    commitment,
    load_task,
    open_verify_key,
    parse_bundle,
    parse_task_signature,
    seal_verify_key,
    sign_task,
)
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.task.verify_key import KIND as VERIFY_KEY_KIND
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.testing import Coalition


def full(coalition: Coalition) -> list[str]:
    return [entry.identity.fingerprint.hex() for entry in coalition.task.aggregators]


def test_what_is_enough(coalition: Coalition) -> None:
    prints, digest = coalition.fingerprints, coalition.task.digest
    for texts in (
        [short(digest, TASK_GROUPS)],
        [digest.hex()],
        [digest.hex().upper()],
        prints,
        prints[::-1],
        full(coalition),
        [prints[0].lower().replace("-", ""), full(coalition)[1]],
        [short(digest, TASK_GROUPS), prints[0]],
        [*prints, short(digest, TASK_GROUPS), digest.hex()],
        coalition.task.short_digest,
        TrustAnchor.from_texts(prints),
    ):
        task = load_task(coalition.bundle, trust=texts)  # type: ignore[arg-type]
        assert task.digest == digest


def test_what_is_not_enough(coalition: Coalition, stranger: Coalition) -> None:
    prints = coalition.fingerprints
    digest = coalition.task.short_digest
    for texts, code in (
        ([], "trust.none"),
        ([""], "trust.syntax"),
        (["north-union"], "trust.syntax"),
        ([digest, "nonsense"], "trust.syntax"),
        ([digest[:-1]], "trust.syntax"),
        ([short(coalition.task.digest)], "trust.short"),
        ([*prints, short(coalition.task.digest)], "trust.short"),
        ([prints[0]], "trust.partial"),
        ([prints[0], prints[0], full(coalition)[0]], "trust.partial"),
        (stranger.fingerprints, "trust.mismatch"),
        ([stranger.task.short_digest], "trust.mismatch"),
        ([*prints, stranger.fingerprints[0]], "trust.mismatch"),
        ([digest, stranger.task.short_digest], "trust.mismatch"),
        ([short(bytes(32))], "trust.mismatch"),
    ):
        with pytest.raises(TrustError) as caught:
            load_task(coalition.bundle, trust=texts)
        assert caught.value.code == code
        assert caught.value.hint


def test_a_partner_cannot_hand_out_aggregators_of_its_own(
    coalition: Coalition, stranger: Coalition
) -> None:
    """Same names, same plan, every signature holds: only the anchor tells them apart."""
    assert stranger.names == coalition.names
    with pytest.raises(TrustError):
        load_task(stranger.bundle, trust=coalition.trust)


def test_bundles(coalition: Coalition, tmp_path: Path) -> None:
    task, signatures = coalition.task, coalition.signatures
    assert bundle(task, signatures[::-1]) == coalition.bundle
    assert parse_bundle(coalition.bundle) == (task.data, list(signatures))
    path = tmp_path / "task.json"
    path.write_bytes(coalition.bundle)
    assert load_task(path, trust=coalition.trust).data == task.data
    assert load_task(str(path), trust=coalition.trust).data == task.data
    with pytest.raises(TaskError) as caught:
        load_task(tmp_path / "nothing", trust=coalition.trust)
    assert caught.value.code == "task.missing"
    with pytest.raises(SignatureError):
        bundle(task, signatures[:1])


def test_bundles_are_strict(coalition: Coalition) -> None:
    value = parse_canonical(coalition.bundle)
    for changed in (
        value | {"kind": "grievance/2 task"},
        value | {"more": 1},
        value | {"signatures": {}},
        value | {"signatures": value["signatures"][:1]},
        value | {"signatures": [1, 2]},
        value | {"task": value["task"] | {"rehearsal": True}},
        value | {"task": []},
        value["task"],
    ):
        with pytest.raises(GrievanceError):
            load_task(canonical(changed), trust=coalition.trust)
    for data in (b"", coalition.bundle + b"\n", coalition.bundle[:-1], bytes(2 << 20)):
        with pytest.raises(WireError):
            load_task(data, trust=coalition.trust)


def test_flipped_bytes_in_a_bundle_are_refused(coalition: Coalition) -> None:
    data = coalition.bundle
    for at in range(0, len(data), 11):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(GrievanceError):
            load_task(changed, trust=coalition.trust)


def test_only_an_aggregator_signs_as_itself(coalition: Coalition, stranger: Coalition) -> None:
    task, keys = coalition.task, coalition.signing_keys
    assert parse_task_signature(sign_task(task, keys[1], "south-network"), task) == "south-network"
    for key, name, error in (
        (keys[0], "south-network", SignatureError),
        (stranger.signing_keys[0], "north-union", SignatureError),
        (keys[0], "third", TaskError),
    ):
        with pytest.raises(error):
            sign_task(task, key, name)


def test_every_aggregator_opens_the_verify_key(coalition: Coalition) -> None:
    for name, key in zip(coalition.names, coalition.hpke_keys, strict=True):
        opened = open_verify_key(coalition.sealed_verify_key, coalition.task, name, key)
        assert opened == coalition.verify_key
    assert coalition.task.verify_key_commitment == commitment(coalition.verify_key)
    assert (
        commitment(VerifyKey(bytes(32)))
        == hashlib.sha256(b"grievance/2 verify key" + bytes(32)).digest()
    )


def test_a_verify_key_opens_with_its_own_card_and_task_alone(
    coalition: Coalition, stranger: Coalition
) -> None:
    sealed, task = coalition.sealed_verify_key, coalition.task
    first, second = coalition.hpke_keys
    with pytest.raises(OpenError):
        open_verify_key(sealed, task, "south-network", first)
    with pytest.raises(TaskError):
        open_verify_key(sealed, task, "third", second)
    with pytest.raises(SignatureError):
        open_verify_key(stranger.sealed_verify_key, task, "south-network", second)
    later = make_coalition(previous=coalition)
    with pytest.raises(TaskError, match="another task"):
        open_verify_key(sealed, later.task, "south-network", later.hpke_keys[1])


def sealed_by_a_cheat(coalition: Coalition, boxes: dict[str, bytes], key: Any = None) -> bytes:
    sealed = {name: b64encode(box) for name, box in boxes.items()}
    body = {"sealed": sealed, "task": coalition.task.digest.hex()}
    return sign_document(VERIFY_KEY_KIND, body, key or coalition.signing_keys[0])


def info(coalition: Coalition, index: int) -> bytes:
    parts = (b"grievance/2 verify key", coalition.task.digest, bytes([index]))
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(joined).digest()


def test_a_leader_cannot_hand_out_another_verify_key(coalition: Coalition) -> None:
    task = coalition.task
    hpke = task.aggregators[1].hpke
    boxes = {"north-union": b"", "south-network": b""}
    for plaintext, index, error in (
        (coalition.verify_key.reveal(), 1, None),
        (bytes(32), 1, TaskError),
        (coalition.verify_key.reveal()[:-1], 1, TaskError),
        (coalition.verify_key.reveal() + b"\x00", 1, TaskError),
        (b"", 1, TaskError),
        (coalition.verify_key.reveal(), 0, OpenError),
    ):
        box = hpke.seal(plaintext, info(coalition, index))
        data = sealed_by_a_cheat(coalition, boxes | {"south-network": box})
        if error is None:
            open_verify_key(data, task, "south-network", coalition.hpke_keys[1])
            continue
        with pytest.raises(error) as caught:
            open_verify_key(data, task, "south-network", coalition.hpke_keys[1])
        assert caught.value.code in ("task.commitment", "report.open")
    for wrong in ({"south-network": box}, boxes | {"third": b""}):
        with pytest.raises(TaskError):
            open_verify_key(
                sealed_by_a_cheat(coalition, wrong), task, "south-network", coalition.hpke_keys[1]
            )


def test_sealing_checks_the_leader_and_the_commitment(coalition: Coalition) -> None:
    with pytest.raises(SignatureError):
        seal_verify_key(coalition.task, coalition.verify_key, coalition.signing_keys[1])
    with pytest.raises(TaskError) as caught:
        seal_verify_key(coalition.task, VerifyKey.generate(), coalition.signing_keys[0])
    assert caught.value.code == "task.commitment"


def test_loading_needs_every_signature(coalition: Coalition, stranger: Coalition) -> None:
    data, (first, second) = coalition.task.data, coalition.signatures
    load_task((data, [second, first]), trust=coalition.trust)
    for signatures, code in (
        ([], "task.unsigned"),
        ([first], "task.unsigned"),
        ([first, first], "task.signature"),
        ([first, second, second], "task.signature"),
        (stranger.signatures, "task.signature"),
        ([first, stranger.signatures[1]], "task.signature"),
        ([first] * 100, "task.signature"),
    ):
        with pytest.raises(SignatureError) as caught:
            load_task((data, signatures), trust=coalition.trust)
        assert caught.value.code == code


def test_signatures_by_others_do_not_count(coalition: Coalition, stranger: Coalition) -> None:
    task, first = coalition.task, coalition.signatures[0]
    member, outsider = coalition.signing_keys[0], stranger.signing_keys[1]
    for name, key, extra, code in (
        ("south-network", outsider, {}, "plan.signer"),
        ("south-network", member, {}, "plan.signer"),
        ("third", outsider, {}, "plan.signer"),
        ("south-network", coalition.signing_keys[1], {"more": 1}, "signature"),
    ):
        body = {"aggregator": name, "task": task.digest.hex()} | extra
        forged = sign_document(SIGNATURE_KIND, body, key)
        with pytest.raises(SignatureError) as caught:
            load_task((task.data, [first, forged]), trust=coalition.trust)
        assert caught.value.code == code
