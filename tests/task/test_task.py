"""A task says one thing: whatever follows from its plan is computed again and compared."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from grievance.cost import Cost
from grievance.crypto.documents import b64decode, b64encode, canonical, sign_document
from grievance.crypto.hpke import HpkePublicKey
from grievance.crypto.signing import SigningKey
from grievance.errors import (
    BudgetExceededError,
    GrievanceError,
    TaskError,
    WireError,
)
from grievance.plan import Plan
from grievance.privacy import rho_for
from grievance.task import check_cards, check_successor, load_task, parse_task
from grievance.task.backup import read_backup_claim
from grievance.task.heads import LedgerHead
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.task.task import ALGORITHM, FIELD, NUM_PROOFS, VDAF_VERSION
from grievance.testing import EXAMPLE_PLAN, make_coalition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.testing import Coalition

Path = tuple[str | int, ...]


def body_of(coalition: Coalition) -> dict[str, Any]:
    return json.loads(coalition.task.data)  # type: ignore[no-any-return]


def sign_all(coalition: Coalition, data: bytes) -> list[bytes]:
    """Let every aggregator sign whatever this is, unchecked."""
    digest = hashlib.sha256(data).hexdigest()
    return [
        sign_document(SIGNATURE_KIND, {"aggregator": name, "task": digest}, key)
        for name, key in zip(coalition.names, coalition.signing_keys, strict=True)
    ]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    else:
        yield path, value


def objects(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from objects(item, (*path, key))


def reach(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def replace(value: Any, path: Path, new: Any) -> Any:
    result = copy.deepcopy(value)
    reach(result, path[:-1])[path[-1]] = new
    return result


def another(value: Any) -> list[Any]:
    """Other values of the same type, as plausible as can be."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 0, 2**53 - 1]
    if value is None:
        return ["00" * 32, {"root": "00" * 32, "size": 1}]
    options = [value + "x", "x" + value, value[:-1], ""]
    if value:
        first = "1" if value[0] == "0" else "0"
        options += [first + value[1:], value[:-1] + ("1" if value[-1] == "0" else "0")]
    if re.fullmatch("[0-9]+/[0-9]+", value):
        top, bottom = map(int, value.split("/"))
        options += [str(Fraction(top + 1, bottom)), str(Fraction(top, bottom + 1))]
    elif value.isdigit():
        options.append(str(int(value) + 1))
    return options


def of_another_type(value: Any) -> list[Any]:
    options: list[Any] = [None, 1, True, "1", [], {}, [value]]
    return [option for option in options if type(option) is not type(value)]


# Leaves outside the plan that people or keys decide. Each is bound by the digest, and checked
# by what is named here; everything else follows from the plan and cannot be changed.
DECIDED: dict[Path, str] = {
    ("round",): "check_cards",
    ("rehearsal",): "check_cards",
    ("plan_sha256",): "check_cards",
    ("aggregators", 0, "card"): "check_cards",
    ("aggregators", 1, "card"): "check_cards",
    ("aggregators", 0, "display_name"): "check_cards",
    ("aggregators", 1, "display_name"): "check_cards",
    ("aggregators", 0, "hpke"): "check_cards",
    ("aggregators", 1, "hpke"): "check_cards",
    ("verify_key_commitment",): "open_verify_key",
    ("ledger_heads", "south-network"): "the ledger",
}
DECIDED_FIRST: dict[Path, str] = {("ledger_heads", "north-union"): "the ledger"}
DECIDED_LATER: dict[Path, str] = {
    ("ledger_heads", "north-union", "root"): "check_successor",
    ("ledger_heads", "north-union", "size"): "the ledger",
    ("previous",): "check_successor",
    ("reserved", "zcdp"): "check_successor",
}
# Terms of the plan with numbers that follow from them.
PRICED = {"epsilon", "delta", "lifetime_epsilon", "reports_per_worker", "mechanism"}


@pytest.mark.parametrize("later", [False, True])
def test_every_leaf_is_bound(later: bool) -> None:
    """Change any leaf, let every aggregator sign it: refused, or a task of another digest."""
    heads = {"north-union": LedgerHead(3, b"\xab" * 32)} if later else None
    before = make_coalition(ledger_heads=heads) if later else None
    coalition = make_coalition(previous=before, ledger_heads=heads)
    expected = DECIDED | (DECIDED_LATER if later else DECIDED_FIRST)
    body = body_of(coalition)
    decided, planned = set(), set()
    for path, value in leaves(body):
        # What is of another type is refused by the same lines in a first task and in a later one.
        for new in another(value) + (of_another_type(value) if later else []):
            if canonical(new) == canonical(value):
                continue
            data = canonical(replace(body, path, new))
            try:
                task = load_task((data, sign_all(coalition, data)), trust=coalition.trust)
            except GrievanceError:
                continue
            assert task.digest != coalition.task.digest
            assert task.ctx != coalition.task.ctx
            if path[0] == "plan":
                assert task.plan != coalition.plan
                planned.add(path)
                continue
            decided.add(path)
            if expected[path] == "check_cards":
                with pytest.raises(TaskError):
                    check_cards(task, coalition.cards)
            if expected[path] == "check_successor":
                assert before is not None
                with pytest.raises(TaskError):
                    check_successor(task, before.task)
    assert decided == set(expected)
    assert ("plan", "title") in planned
    for path in planned:
        assert path[:2] != ("plan", "privacy") or path[2] not in PRICED
        assert path[1] not in ("version", "campaign")


def backup_of(*names: str) -> dict[str, object]:
    trustees = [
        {"identity": b64encode(SigningKey.generate().public.raw), "name": name} for name in names
    ]
    return {"rehearsed": "2026-09-30", "set": "ab" * 8, "threshold": 2, "trustees": trustees}


def test_what_a_task_says_about_backups_is_what_the_cards_say() -> None:
    said = {"north-union": backup_of("d", "e"), "south-network": backup_of("a", "b", "c")}
    owner = make_coalition().task.aggregators[0].member
    claims = {name: read_backup_claim(b, owner, "backup", "task.card") for name, b in said.items()}
    coalition = make_coalition(backups={n: claim for n, claim in claims.items() if claim})
    body, backup = body_of(coalition), said["south-network"]
    trustees: list[object] = backup["trustees"]  # type: ignore[assignment]
    for entry, card in zip(coalition.task.aggregators, coalition.cards, strict=True):
        assert entry.backup is not None and entry.backup == card.backup
        assert entry.backup.to_json() == said[entry.name]
    check_cards(coalition.task, coalition.cards)
    path: Path = ("aggregators", 1, "backup")
    changes = [
        backup | {key: value}
        for key, value in (
            ("rehearsed", "2026-10-01"),
            ("set", "cd" * 8),
            ("threshold", 3),
            ("trustees", trustees[:2]),
            ("trustees", [trustees[0], trustees[2], trustees[1]]),
        )
    ]
    for new in (None, *changes):
        task = parse_task(canonical(replace(body, path, new)))
        assert task.digest != coalition.task.digest
        with pytest.raises(TaskError, match="about the backup of south-network"):
            check_cards(task, coalition.cards)
    for leaf, value in leaves(backup):
        for new in of_another_type(value):
            with pytest.raises(TaskError):
                parse_task(canonical(replace(body, (*path, *leaf), new)))
    with pytest.raises(TaskError):
        owner_too = [trustees[0], {**backup_of("south-network")["trustees"][0]}]  # type: ignore[index]
        parse_task(canonical(replace(body, (*path, "trustees"), owner_too)))


def test_nothing_is_missing_and_nothing_is_added(coalition: Coalition) -> None:
    body = body_of(coalition)
    for path in objects(body):
        for key in reach(body, path):
            changed = copy.deepcopy(body)
            del reach(changed, path)[key]
            with pytest.raises(GrievanceError):
                parse_task(canonical(changed))
        with pytest.raises(GrievanceError):
            parse_task(canonical(replace(body, (*path, "extra"), 1)))


def test_the_bytes_are_the_canonical_ones(coalition: Coalition) -> None:
    data = coalition.task.data
    assert canonical(json.loads(data)) == data
    assert coalition.task.digest == hashlib.sha256(data).digest()
    assert coalition.task.ctx == b"grievance/2" + coalition.task.digest
    for changed in (data + b"\n", b" " + data, json.dumps(json.loads(data)).encode(), data[:-1]):
        with pytest.raises(WireError):
            parse_task(changed)
    with pytest.raises(TaskError):
        parse_task(b"[]")


def test_what_a_task_says(coalition: Coalition) -> None:
    task, body = coalition.task, body_of(coalition)
    privacy = task.plan.privacy
    assert body["kind"] == "grievance/2 task"
    assert (task.campaign, task.round_id) == ("example", "example-00000001")
    assert task.plan == Plan.from_toml(EXAMPLE_PLAN)
    assert task.plan_sha256 == hashlib.sha256(EXAMPLE_PLAN.encode()).digest()
    assert sum((a.cost.amount for a in task.allocations.values()), Fraction()) == task.cost.amount
    assert task.cost.amount <= rho_for(privacy.epsilon, privacy.delta)
    assert task.lifetime == Cost("zcdp", rho_for(privacy.lifetime_epsilon, privacy.delta))
    assert task.reserved == task.cost
    assert task.previous is None
    assert dict(task.ledger_heads) == dict.fromkeys(coalition.names)
    assert [entry.name for entry in task.aggregators] == list(coalition.names)
    assert [task.index_of(name) for name in coalition.names] == [0, 1]
    assert list(task.allocations) == [s.name for s in task.layout.shapes()]


def test_the_constants_are_those_of_the_vdaf(coalition: Coalition) -> None:
    from grievance.vdaf.xof import VERSION

    vdaf, written = coalition.task.vdaf, body_of(coalition)["vdaf"]
    assert coalition.task.vdaf is vdaf
    assert (vdaf.ID, vdaf.PROOFS, vdaf.field.name, VERSION) == (
        ALGORITHM,
        NUM_PROOFS,
        FIELD,
        VDAF_VERSION,
    )
    assert vdaf.SHARES == 2
    assert written == {
        "algorithm": 0xFFFF4742,
        "chunk_length": coalition.task.layout.chunk_length,
        "draft": "draft-irtf-cfrg-vdaf-20",
        "field": "Field128",
        "num_bits": coalition.task.layout.num_bits,
        "proofs": 1,
        "version": 18,
    }


def aggregators_with(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    second = body["aggregators"][1] | changes
    return body | {"aggregators": [body["aggregators"][0], second]}


def test_one_organisation_cannot_be_two_aggregators(coalition: Coalition) -> None:
    body = body_of(coalition)
    first, second = body["aggregators"]
    keys = [entry.hpke for entry in coalition.task.aggregators]
    mixed_x = keys[1].raw[:-32] + keys[0].raw[-32:]
    mixed_m = keys[0].raw[:-32] + keys[1].raw[-32:]
    plain = HpkePublicKey("X25519", keys[0].x25519_half)
    for changed in (
        body | {"aggregators": []},
        body | {"aggregators": [first], "ledger_heads": {"north-union": None}},
        body | {"aggregators": [first, first], "ledger_heads": {"north-union": None}},
        aggregators_with(body, name=first["name"]) | {"ledger_heads": {"north-union": None}},
        aggregators_with(body, identity=first["identity"]),
        aggregators_with(body, display_name=first["display_name"].upper()),
        aggregators_with(body, hpke=first["hpke"]),
        aggregators_with(body, hpke=b64encode(mixed_x)),
        aggregators_with(body, hpke=b64encode(mixed_m)),
        aggregators_with(body, kem="X25519", hpke=b64encode(plain.raw)),
        aggregators_with(body, card=first["card"]),
    ):
        with pytest.raises(TaskError) as caught:
            parse_task(canonical(changed))
        assert caught.value.code == "plan.aggregators"
    assert second["name"] == "south-network"


def test_bad_keys_inside_a_task(coalition: Coalition) -> None:
    body = body_of(coalition)
    raw = b64decode(body["aggregators"][1]["hpke"])
    for changes in (
        {"hpke": b64encode(raw[:-32] + bytes(32))},
        {"hpke": b64encode(b"\xff" * 1184 + raw[-32:])},
        {"hpke": b64encode(raw[:-1])},
        {"kem": "X25519"},
        {"identity": b64encode((1).to_bytes(32, "little"))},
        {"identity": b64encode(bytes(31))},
    ):
        with pytest.raises(TaskError) as caught:
            parse_task(canonical(aggregators_with(body, **changes)))
        assert caught.value.code == "task.key"


@pytest.fixture(scope="module")
def named() -> Coalition:
    """Of a plan with its noise written out: only so may a task follow another."""
    return make_coalition(EXAMPLE_PLAN.replace("[privacy]", '[privacy]\nmechanism = "gaussian"'))


def test_the_lifetime_budget_holds_to_the_last_fraction(named: Coalition) -> None:
    body = body_of(named) | {"previous": "00" * 32}
    lifetime = named.task.lifetime
    full = parse_task(canonical(body | {"reserved": lifetime.to_json()}))
    assert full.reserved == lifetime
    more = Cost("zcdp", lifetime.amount + Fraction(1, 10**12))
    with pytest.raises(BudgetExceededError) as caught:
        parse_task(canonical(body | {"reserved": more.to_json()}))
    assert caught.value.requested == named.task.cost
    far = Cost("zcdp", lifetime.amount * 9)
    with pytest.raises(BudgetExceededError):
        parse_task(canonical(body | {"reserved": far.to_json()}))


@pytest.mark.parametrize(
    "reserved",
    [
        {"zcdp": "0"},
        {"zcdp": "1/1000000"},
        {"pure": "1"},
        {"zcdp": "2/4"},
        {"zcdp": "-1"},
        {"zcdp": "0.1"},
        {"zcdp": "1", "pure": "1"},
        "1",
        None,
    ],
)
def test_reserved_holds_the_rounds_own_cost(named: Coalition, reserved: object) -> None:
    body = body_of(named)
    for previous in (None, "00" * 32):
        with pytest.raises(TaskError):
            parse_task(canonical(body | {"reserved": reserved, "previous": previous}))


def test_a_first_round_reserves_its_own_cost_and_no_more(coalition: Coalition) -> None:
    double = coalition.task.cost + coalition.task.cost
    with pytest.raises(TaskError):
        parse_task(canonical(body_of(coalition) | {"reserved": double.to_json()}))


def test_true_is_not_one(coalition: Coalition) -> None:
    body = body_of(coalition)
    with pytest.raises(TaskError):
        parse_task(canonical(replace(body, ("vdaf", "proofs"), True)))


@pytest.mark.parametrize(
    "heads",
    [
        None,
        {},
        {"north-union": None},
        {"north-union": None, "south-network": None, "third": None},
        {"north-union": None, "south-network": {"size": 0, "root": "00" * 32}},
        {"north-union": None, "south-network": {"size": 1}},
        {"north-union": None, "south-network": {"size": 1, "root": "00"}},
        {"north-union": None, "south-network": {"size": True, "root": "00" * 32}},
        {"north-union": None, "south-network": []},
    ],
)
def test_ledger_heads_are_strict(coalition: Coalition, heads: object) -> None:
    with pytest.raises(TaskError):
        parse_task(canonical(body_of(coalition) | {"ledger_heads": heads}))


def test_heads_read_back_as_they_were_given() -> None:
    head = LedgerHead(3, b"\xab" * 32)
    task = make_coalition(ledger_heads={"south-network": head}).task
    assert dict(task.ledger_heads) == {"north-union": None, "south-network": head}


def test_a_client_loads_nothing_heavy(coalition: Coalition, tmp_path: Any) -> None:
    (tmp_path / "bundle.json").write_bytes(coalition.bundle)
    program = (
        "import sys; from grievance.task import load_task; "
        "task = load_task(sys.argv[1], trust=[sys.argv[2]]); task.vdaf; "
        "heavy = {'numpy', 'opendp', 'numba', 'pyarrow', 'pandas', 'polars', 'typer', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "bundle.json")]
    command.append(coalition.task.short_digest)
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
