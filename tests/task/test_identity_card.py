"""Identities and cards: names that are refused, and cards that were made for something else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.fingerprint import short
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.errors import GrievanceError, SignatureError, TaskError, WireError
from grievance.task import (
    Identity,
    card_matches,
    make_card,
    make_identity,
    make_mailbox,
    parse_card,
    parse_mailbox,
)
from grievance.task.backup import backup_in_words, read_backup_claim
from grievance.task.card import KIND as CARD_KIND
from grievance.task.identity import KIND as IDENTITY_KIND
from grievance.task.identity import MAX_AGGREGATORS, check_members, check_round_id, parse_identity
from grievance.task.mailbox import KIND as MAILBOX_KIND

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.testing import Coalition

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
MEMBERS = (
    Identity("north-union", "North Union", KEY.public),
    Identity("south-network", "South Network", OTHER.public),
)
PLAN = bytes(range(32))
HPKE = HpkePrivateKey.generate("X25519").public


BACKUP = {
    "rehearsed": "2026-09-30",
    "set": "ab" * 8,
    "threshold": 2,
    "trustees": [
        {"identity": b64encode(SigningKey.generate().public.raw), "name": name}
        for name in ("nurses", "carers", "patients")
    ],
}


def trustee(name: object, key: object = None) -> dict[str, object]:
    return {"identity": key or b64encode(SigningKey.generate().public.raw), "name": name}


def card_body() -> dict[str, Any]:
    data = make_card(KEY, HPKE, round_id="round-1", plan_sha256=PLAN, members=MEMBERS)
    return dict(parse_document(data, kind=CARD_KIND).body)


def test_identity_round_trip() -> None:
    data = make_identity("north-union", "North Union", KEY)
    identity = parse_identity(data)
    assert identity == MEMBERS[0]
    assert identity.fingerprint == short(KEY.public.fingerprint)
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.name = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    "name",
    [
        *("", "-rf", ".", "..", "a/b", "a\\b", "C:", "con", "nul", "com1", "A", "a_b", "a.b"),
        *("a b", "a\n", "a\x00", "\u00e9", "a" * 41, "\u0430"),
    ],
)
def test_names_that_are_no_path_parts_are_refused(name: str) -> None:
    with pytest.raises(TaskError) as caught:
        Identity(name, "Name", KEY.public)
    assert caught.value.code == "task.name"
    for good in ("a", "0", "a" * 40, "north-union-2", "console"):
        Identity(good, "Name", KEY.public)


@pytest.mark.parametrize(
    "name",
    [
        *("", " North", "North ", "a\nb", "a\x00", "a\u202eb", "a\u200bb"),
        *("N\u043erth", "x" * 1000, "e\u0301", "\ud800"),
    ],
)
def test_display_names_that_deceive_are_refused(name: str) -> None:
    with pytest.raises(TaskError) as caught:
        Identity("north-union", name, KEY.public)
    assert caught.value.code == "task.name"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "north-union"},
        {"name": "north-union", "display_name": "North Union", "more": 1},
        {"name": 1, "display_name": "North Union"},
        {"name": "north-union", "display_name": None},
        {"name": "CON", "display_name": "North Union"},
    ],
)
def test_identity_documents_are_strict(body: dict[str, Any]) -> None:
    with pytest.raises(TaskError):
        parse_identity(sign_document(IDENTITY_KIND, body, KEY))


def test_an_identity_is_no_card_and_a_card_no_identity() -> None:
    with pytest.raises(WireError):
        parse_card(make_identity("north-union", "North Union", KEY))
    with pytest.raises(WireError):
        parse_identity(sign_document(CARD_KIND, card_body(), KEY))


@pytest.mark.parametrize("text", ["round-1", "a", "example-00000001", "a" * 49])
def test_round_ids(text: str) -> None:
    assert check_round_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a/b", "..", "A", "a_b", "nul", "a" * 50, "a\n"])
def test_what_is_no_round_id(text: str) -> None:
    with pytest.raises(TaskError) as caught:
        check_round_id(text)
    assert caught.value.code == "task.round"


def test_members_must_be_two_and_differ() -> None:
    third = SigningKey.generate().public
    check_members([*MEMBERS, Identity("third", "Third", third)])
    wrong = [
        [],
        MEMBERS[:1],
        [MEMBERS[0], MEMBERS[0]],
        [MEMBERS[0], Identity("north-union", "Another", third)],
        [MEMBERS[0], Identity("another", "Another", KEY.public)],
        [MEMBERS[0], Identity("another", "NORTH UNION", third)],
        [
            Identity(f"org-{at}", f"Org {at}", SigningKey.generate().public)
            for at in range(MAX_AGGREGATORS + 1)
        ],
    ]
    for members in wrong:
        with pytest.raises(TaskError) as caught:
            check_members(members)
        assert caught.value.code == "plan.aggregators"


def test_card_round_trip() -> None:
    data = make_card(
        OTHER,
        HPKE,
        round_id="round-1",
        plan_sha256=PLAN,
        members=MEMBERS,
        rehearsal=True,
        invitation=PLAN,
    )
    card = parse_card(data, OTHER.public)
    assert (card.round_id, card.plan_sha256, card.index) == ("round-1", PLAN, 1)
    assert (card.members, card.owner, card.hpke) == (MEMBERS, MEMBERS[1], HPKE)
    assert card.rehearsal is True
    assert card.backup is None
    assert (card.invitation, card.expected) == (PLAN, ())
    assert card.data == data
    for lacks in (None, True):
        body = parse_document(data, kind=CARD_KIND).body | {"invitation": None, "expected": lacks}
        with pytest.raises(TaskError):
            parse_card(sign_document(CARD_KIND, body, OTHER))


def test_a_card_says_whether_there_is_a_backup() -> None:
    words = {"round_id": "round-1", "plan_sha256": PLAN, "members": MEMBERS}
    claim = read_backup_claim(BACKUP, MEMBERS[0], "card.backup", "task.card")
    card = parse_card(make_card(KEY, HPKE, **words, backup=claim))  # type: ignore[arg-type]
    assert card.backup is not None and card.backup.to_json() == BACKUP
    assert card.expected == (card.backup, None)
    shown = backup_in_words("North Union", card.backup)
    assert "any 2 of nurses, carers, patients" in shown and "2026-09-30" in shown
    assert "no rehearsed backup" in backup_in_words("North Union", None)


def test_a_mailbox_belongs_to_one_organisation() -> None:
    data = make_mailbox("north-union", HPKE, KEY)
    assert parse_mailbox(data, MEMBERS[0]) == HPKE
    renamed = Identity("northern-union", "North Union", KEY.public)
    with pytest.raises(TaskError, match="somebody else"):
        parse_mailbox(data, renamed)
    with pytest.raises(SignatureError):
        parse_mailbox(data, MEMBERS[1])
    with pytest.raises(WireError):
        parse_mailbox(make_identity("north-union", "North Union", KEY), MEMBERS[0])
    body = {"hpke": b64encode(bytes(32)), "kem": "X25519", "name": "north-union"}
    with pytest.raises(TaskError):
        parse_mailbox(sign_document(MAILBOX_KIND, body, KEY), MEMBERS[0])


def test_a_card_needs_its_owners_signature() -> None:
    body = card_body()
    with pytest.raises(SignatureError):
        parse_card(sign_document(CARD_KIND, body, OTHER))
    with pytest.raises(SignatureError):
        parse_card(sign_document(CARD_KIND, body, KEY), OTHER.public)
    with pytest.raises(TaskError):
        make_card(SigningKey.generate(), HPKE, round_id="r", plan_sha256=PLAN, members=MEMBERS)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("aggregator", "south-network", "task.card"),
        ("aggregator", 1, "task.card"),
        ("index", 1, "task.card"),
        ("index", 2, "task.card"),
        ("index", -1, "task.card"),
        ("index", False, "task.card"),
        ("kem", "P256", "task.key"),
        ("kem", "MLKEM768_X25519", "task.key"),
        ("hpke", b64encode(bytes(32)), "task.key"),
        ("hpke", b64encode(b"\xff" * 32), "task.key"),
        pytest.param("hpke", b64encode(HPKE.raw) + "=", "task.card", id="hpke-padded"),
        ("plan", "00", "task.card"),
        ("plan", "AA" * 32, "task.card"),
        ("rehearsal", 0, "task.card"),
        ("rehearsal", None, "task.card"),
        ("round", "..", "task.round"),
        ("round", 5, "task.card"),
        ("aggregators", {}, "task.card"),
        ("aggregators", [], "plan.aggregators"),
        ("aggregators", [MEMBERS[0].to_json()], "plan.aggregators"),
        ("aggregators", [MEMBERS[0].to_json()] * 2, "plan.aggregators"),
        ("aggregators", [MEMBERS[0].to_json(), MEMBERS[1].to_json() | {"more": 1}], "task.card"),
        (
            "aggregators",
            [MEMBERS[0].to_json(), MEMBERS[1].to_json() | {"identity": b64encode(bytes(32))}],
            "task.key",
        ),
        ("backup", {}, "task.card"),
        ("backup", False, "task.card"),
        ("backup", BACKUP | {"more": 1}, "task.card"),
        ("backup", BACKUP | {"set": "AB" * 8}, "task.card"),
        ("backup", BACKUP | {"set": "ab" * 9}, "task.card"),
        ("backup", BACKUP | {"threshold": 1}, "task.card"),
        ("backup", BACKUP | {"threshold": 4}, "task.card"),
        ("backup", BACKUP | {"threshold": True}, "task.card"),
        ("backup", BACKUP | {"trustees": BACKUP["trustees"][:1]}, "task.card"),
        ("backup", BACKUP | {"trustees": []}, "task.card"),
        ("backup", BACKUP | {"trustees": ["nurses", "carers"]}, "task.card"),
        ("backup", BACKUP | {"trustees": BACKUP["trustees"][:1] * 2}, "task.card"),
        ("backup", BACKUP | {"trustees": [trustee("nurses"), trustee("nurses")]}, "task.card"),
        ("backup", BACKUP | {"trustees": [trustee("nurses"), trustee(["carers"])]}, "task.card"),
        ("backup", BACKUP | {"trustees": [trustee("nurses"), trustee("../x")]}, "task.card"),
        ("backup", BACKUP | {"trustees": [trustee("nurses"), trustee("carers", "x")]}, "task.card"),
        ("backup", BACKUP | {"trustees": [trustee("nurses"), trustee("north-union")]}, "task.card"),
        (
            "backup",
            BACKUP | {"trustees": [trustee("nurses"), trustee("me", b64encode(KEY.public.raw))]},
            "task.card",
        ),
        ("backup", BACKUP | {"trustees": [trustee(f"t{at}") for at in range(17)]}, "task.card"),
        # The leader's card is the invitation; it names none, and speaks of everybody.
        ("invitation", "ab" * 32, "task.card"),
        ("expected", None, "task.card"),
        ("expected", [], "task.card"),
        ("expected", [None, BACKUP | {"threshold": 1}], "task.card"),
        ("expected", [BACKUP, None], "task.card"),
        ("backup", BACKUP | {"rehearsed": "2026-02-30"}, "task.card"),
        ("backup", BACKUP | {"rehearsed": "20260930"}, "task.card"),
        ("backup", BACKUP | {"rehearsed": None}, "task.card"),
        ("more", 1, "task.card"),
    ],
)
def test_a_signed_card_that_breaks_a_rule(key: str, value: object, code: str) -> None:
    with pytest.raises(TaskError) as caught:
        parse_card(sign_document(CARD_KIND, card_body() | {key: value}, KEY))
    assert caught.value.code == code


def test_a_card_lacks_nothing() -> None:
    for key in card_body():
        body = card_body()
        del body[key]
        with pytest.raises(TaskError):
            parse_card(sign_document(CARD_KIND, body, KEY))


def test_a_card_made_for_something_else_is_refused() -> None:
    card = parse_card(sign_document(CARD_KIND, card_body(), KEY))
    right: dict[str, Any] = {
        "round_id": "round-1",
        "plan_sha256": PLAN,
        "members": MEMBERS,
        "rehearsal": False,
        "invitation": card.digest,
        "kem": HPKE.kem,
    }
    card_matches(card, **right)
    renamed = dataclasses.replace(MEMBERS[1], display_name="Other")
    for key, value, words in (
        ("round_id", "round-2", "another round"),
        ("plan_sha256", bytes(32), "another plan"),
        ("members", MEMBERS[::-1], "other aggregators"),
        ("members", (MEMBERS[0], renamed), "other aggregators"),
        ("rehearsal", True, "no rehearsal"),
        ("invitation", bytes(32), "another invitation"),
        ("kem", "X448", "another envelope"),
    ):
        with pytest.raises(TaskError, match=words) as caught:
            card_matches(card, **(right | {key: value}))
        assert caught.value.code == "task.card"


def test_no_error_shows_a_private_key(coalition: Coalition) -> None:
    secrets = [key.export().reveal() for key in coalition.signing_keys]
    secrets += [key.export().reveal() for key in coalition.hpke_keys]
    secrets.append(coalition.verify_key.reveal())
    shown = repr(coalition) + str(coalition)
    attempts: list[Callable[[], object]] = [
        lambda: parse_card(coalition.bundle),
        lambda: coalition.hpke_keys[0].open(b"x" * 2000, b""),
        lambda: coalition.task.index_of("nobody"),
    ]
    for attempt in attempts:
        with pytest.raises(GrievanceError) as caught:
            attempt()
        shown += repr(caught.value)
    for secret in secrets:
        for form in (secret.hex(), b64encode(secret), repr(secret)):
            assert form not in shown
