"""A pool that shows old, endless, missing or wrong files: it can delay a round and no more.

One test an attack. Whatever the pool shows, nobody's program stops in the middle, nothing is
charged twice, nobody signs two versions of a file, and as soon as the pool is honest again the
round goes on to the same end. Source: docs/threats.md, section 4; docs/faults.md, faults D8, E16.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hostile_pool import Changing, Content, Endless, Odd
from hostile_world import (
    ROWS,
    WAITING,
    HostileCoalition,
    Scene,
    approve,
    finish,
    noisy_files,
    play,
    signed_by,
)

from grievance.aggregator import Office
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.aggregator.status import status
from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.signing import SigningKey
from grievance.errors import ReleaseError
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.pool.batch import max_batch_size
from grievance.pool.events import Close
from grievance.pool.layout import checkpoint_path, cosignature_path
from grievance.pool.order import KIND as ORDER
from grievance.pool.order import OrderChain
from grievance.release import collect

if TYPE_CHECKING:
    from collections.abc import Callable

STRANGER = SigningKey.generate()


def waits(coalition: HostileCoalition, name: str) -> set[tuple[str, str]]:
    """Who is waited for, and for what, as this organisation's status says."""
    with Office.open(coalition.homes[name]) as office:
        return {(item.who, item.what) for line in status(office) for item in line.waiting}


# Rollback.


def test_rollback_of_the_whole_pool(released: HostileCoalition, scenes: dict[str, Scene]) -> None:
    """Everybody sees the state from before the release: the owners write their files again."""
    before = released.hostile.snapshot()
    released.hostile.roll_back(scenes["checked"].files)
    released.settle()
    assert released.hostile.snapshot() == before
    assert released.hostile.rewritten() == []
    assert "ledger/north/1.json" in before and "ledger/north/2.json" not in before


def test_rollback_for_one_reader(released: HostileCoalition, scenes: dict[str, Scene]) -> None:
    """South is shown the round before it was closed: it waits, and signs nothing new."""
    before = released.hostile.snapshot()
    released.hostile.freeze("south", scenes["checked"].files)
    for _ in range(2):
        (result,) = released.sync("south", clean=False)
        assert {fault.code for fault in result.faults} == {"pool.behind"}
        assert "we saw" in str(result.faults[0]) and result.faults[0].hint
    assert released.hostile.snapshot() == before
    released.hostile.honest()
    released.settle()
    assert released.hostile.snapshot() == before


def test_rollback_for_the_leader(released: HostileCoalition, scenes: dict[str, Scene]) -> None:
    """The leader knows its own events, and orders nothing again."""
    released.hostile.freeze("north", scenes["opened"].files)
    before = released.hostile.snapshot()
    for _ in range(2):
        released.sync("north", clean=False)
    assert released.hostile.snapshot() == before
    assert released.hostile.rewritten() == []


# Freeze.


def test_freeze_while_a_round_is_open(opened: HostileCoalition) -> None:
    """South is shown the empty round for ever: nobody decides, and status says who is missing."""
    opened.hostile.freeze("south")
    opened.relay("nurses", opened.seal(ROWS))
    for _ in range(3):
        assert opened.codes() == []
    seq = opened.chain().batches[0].seq
    assert waits(opened, "north") == {("south", f"checks batch {seq}")}
    assert not [path for path in opened.hostile.files if "/decide/" in path]


def test_freeze_of_a_head_before_it_is_cosigned(closed: HostileCoalition) -> None:
    """South never sees north's entry: without its cosignature no noisy share leaves anybody."""
    release_id = approve(closed)
    closed.hostile.freeze("south")
    for _ in range(3):
        closed.codes()
    assert noisy_files(closed.hostile) == []
    assert any(who == "south" for who, _ in waits(closed, "north"))
    with pytest.raises(ReleaseError) as error:
        collect(closed.leader.store, closed.task, release_id)
    assert error.value.code == "release.waiting"
    assert error.value.hint
    finish(closed, release_id)


def test_freeze_of_an_auditor(released: HostileCoalition, scenes: dict[str, Scene]) -> None:
    """An older copy is as consistent as it was: the audit says so, and that it cannot tell."""
    released.hostile.freeze("auditor", scenes["closed"].files)
    report = released.audit()
    assert not report.faults
    assert report.counts.releases == 0


@pytest.mark.parametrize(
    "kind", [Odd.LINK, *(pytest.param(k, marks=pytest.mark.slow) for k in (Odd.PIPE, Endless()))]
)
def test_recovering_while_others_files_are_no_files(
    kind: Content, released: HostileCoalition
) -> None:
    """A lost state is rebuilt whatever lies where nobody has written yet."""
    before = released.hostile.snapshot()
    (released.folder / "south" / "state.sqlite").unlink()
    paths = [cosignature_path("south", 2, "north"), cosignature_path("north", 2, "south")]
    paths += [checkpoint_path("south", 2), checkpoint_path("north", 2), "ledger/south/2.json"]
    paths += [released.paths.order(released.chain().length + 1), f"{released.paths.cards}/a.json"]
    for path in paths:
        released.hostile.show(path, kind)
    assert any("our ledger, 1 entries" in line for line in recover(released.homes["south"], Told()))
    released.settle()
    assert released.hostile.snapshot() == before


# Fast-forward.


def test_fast_forward_of_the_order(checked: HostileCoalition) -> None:
    """An event far ahead has not arrived until those before it have."""
    chain = checked.chain()
    for seq in (1000, 10**9, 2**53 - 1):
        body = {"task": chain.task.digest.hex(), "seq": seq, "previous": chain.head.hex()}
        data = sign_document(ORDER, body | {"event": {"type": "close"}}, checked.leader.key)
        checked.hostile.files[checked.paths.order(seq)] = data
    assert checked.codes("south") == []
    assert checked.chain().length == chain.length
    report = checked.audit()
    assert report.verdict != "pass"
    assert any("order/1000.json" in f.file for f in report.findings)


def test_fast_forward_of_the_next_event(checked: HostileCoalition) -> None:
    """The leader signs the next event with a number of its own: it is not the next event."""
    chain = checked.chain()
    body = {"task": chain.task.digest.hex(), "seq": 2**53 - 1, "previous": chain.head.hex()}
    data = sign_document(ORDER, body | {"event": {"type": "close"}}, checked.leader.key)
    checked.hostile.files[checked.paths.order(chain.length + 1)] = data
    assert checked.codes("south") == []
    path = checked.paths.order(chain.length + 1)
    assert ("file.place", path) in {(f.rule, f.file) for f in checked.audit().findings}


def test_fast_forward_of_a_ledger(released: HostileCoalition) -> None:
    """A signed head of 2^53 - 1 entries, and an entry that says it is that one."""
    key, size = released.homes["south"].key, 2**53 - 1
    far = sign_checkpoint("south", size, b"\x01" * 32, key)
    released.hostile.files[checkpoint_path("south", size)] = far
    released.hostile.files[checkpoint_path("south", 2)] = far
    entry = released.sign_again("ledger/south/1.json", "south", lambda b: b.update(size=size))
    released.hostile.files["ledger/south/2.json"] = entry
    started = time.process_time()
    assert released.codes("north") == []
    assert time.process_time() - started < 5
    assert "ledger/south/2.north.cosignature" not in released.hostile.files
    report = released.audit()
    assert {"file.place", "file.unknown"} <= {f.rule for f in report.findings}
    assert report.verdict == "incomplete"


# Endless data.


def others(coalition: HostileCoalition, name: str) -> list[str]:
    """Every file of the pool that this organisation did not write."""
    own = {path for who, path, _ in coalition.hostile.log if who == name}
    return [path for path in coalition.hostile.files if path not in own]


@pytest.mark.parametrize("victim", ["south", pytest.param("north", marks=pytest.mark.slow)])
def test_endless_files_everywhere(victim: str, closed: HostileCoalition) -> None:
    """Every file of the others never ends: they count as not arrived."""
    release_id = approve(closed)
    for path in others(closed, victim):
        closed.hostile.show(path, Endless(), to=victim)
    closed.codes()
    assert set(closed.codes(victim)) <= WAITING
    assert noisy_files(closed.hostile) == []
    # No reader asks for more than the largest batch there can be.
    assert closed.hostile.largest_limit <= max_batch_size(closed.task)
    finish(closed, release_id)


def test_endless_data_in_the_audit(released: HostileCoalition) -> None:
    for path in list(released.hostile.files):
        released.hostile.show(path, Endless(), to="auditor")
    report = released.audit()
    assert report.verdict in ("untrusted", "incomplete") and not report.faults
    assert "audit.error" not in {f.rule for f in report.findings}


@pytest.mark.parametrize("number", [2_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_endless_listing(number: int, checked: HostileCoalition) -> None:
    """A million names altogether, well formed, in the folders that are listed."""
    paths, many = checked.paths, range(number)
    lists = {
        paths.batches: [f"nurses-{n:064x}" for n in many],
        paths.releases: [f"{n:016x}" for n in many],
        paths.cards: [f"x{n}.json" for n in many],
        "rounds": [f"tiny-{n:08x}" for n in range(number // 10)],
    }
    for folder, names in lists.items():
        checked.hostile.list_also(folder, names)
    started = time.process_time()
    assert checked.codes() == []
    assert time.process_time() - started < 60 + number / 1000
    checked.hostile.honest()
    checked.order_close()
    checked.settle()
    finish(checked, approve(checked))


def test_a_directory_in_place_of_each_file(closed: HostileCoalition) -> None:
    release_id = approve(closed)
    for path in others(closed, "south"):
        closed.hostile.show(path, Odd.FOLDER, to="south")
    assert set(closed.codes("south")) <= WAITING
    finish(closed, release_id)


# Withholding.


@pytest.mark.parametrize(
    ("prefix", "who"),
    [
        ("batches/", "nurses"),
        pytest.param("verify/", "north", marks=pytest.mark.slow),
        pytest.param("decide/", "north", marks=pytest.mark.slow),
        pytest.param("order/", None, marks=pytest.mark.slow),
        ("releases/", None),
        ("ledger/", "north"),
    ],
)
def test_withheld_from_one(prefix: str, who: str | None, opened: HostileCoalition) -> None:
    """South lacks one kind of file: it waits for whoever wrote it, then the round goes on."""
    base = "" if prefix == "ledger/" else f"{opened.paths.folder}/"
    opened.hostile.withhold(f"{base}{prefix}", to="south")
    opened.relay("nurses", opened.seal(ROWS))
    for _ in range(2):
        assert set(opened.codes()) <= WAITING
    if prefix == "batches/":
        assert any(w == who for w, _ in waits(opened, "south"))
    opened.hostile.honest()
    opened.settle()
    opened.hostile.withhold(f"{base}{prefix}", to="south")
    opened.order_close()
    for _ in range(2):
        assert set(opened.codes()) <= WAITING
    opened.hostile.honest()
    opened.settle()
    release_id = approve(opened)
    opened.hostile.withhold(f"{base}{prefix}", to="south")
    for _ in range(3):
        assert set(opened.codes()) <= WAITING
    if prefix in ("ledger/", "releases/"):
        assert noisy_files(opened.hostile) == []
    finish(opened, release_id)


# Files that are other at every look.


def half(_path: str, truth: bytes) -> Content:
    return truth[: len(truth) // 2]


def trailing(_path: str, truth: bytes) -> Content:
    return truth + b"\n"


def by_a_stranger(_path: str, truth: bytes) -> Content:
    return signed_by(STRANGER, truth)


LIES: dict[str, Callable[[str, bytes], Content]] = {
    "interrupted": half,
    "empty": lambda _path, _truth: b"",
    "trailing bytes": trailing,
    "gone": lambda _path, _truth: None,
    "a link": lambda _path, _truth: Odd.LINK,
    "a pipe": lambda _path, _truth: Odd.PIPE,
    "endless": lambda _path, _truth: Endless(),
    "signed by a stranger": by_a_stranger,
}


@pytest.mark.parametrize("victim", ["south", pytest.param("north", marks=pytest.mark.slow)])
def test_files_that_change_between_two_looks(victim: str, opened: HostileCoalition) -> None:
    play(opened, victim, list(LIES.values()))


@pytest.mark.slow
@pytest.mark.parametrize("what", LIES)
@pytest.mark.parametrize("victim", ["north", "south"])
def test_one_kind_of_change_alone(victim: str, what: str, opened: HostileCoalition) -> None:
    play(opened, victim, [LIES[what]])


def test_a_file_that_changes_under_the_auditor(released: HostileCoalition) -> None:
    """Listed whole, then short, then gone: a finding for each, and the audit ends."""
    for number, (path, data) in enumerate(sorted(released.hostile.files.items())):
        lie = (
            Changing([data, data[: len(data) // 2], None]) if number % 2 else Changing([data, b""])
        )
        released.hostile.show(path, lie, to="auditor")
    report = released.audit()
    assert report.verdict in ("untrusted", "incomplete") and not report.faults
    assert "audit.error" not in {f.rule for f in report.findings}


# Names.

TRICKS = [
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "nul\0byte",
    "con",
    "nul.json",
    "-rf",
    ".hidden.json",
    "~",
    "New Folder (2)",
    "u\u0308ber.json",  # as macOS writes it
    "\u202egnp.json",
    "new\nline.json",
    "x" * 300,
    "x" * 300 + ".json",
    "NORTH.json",
    "North.json",
    "north.json.",
    "north (conflicted copy).json",
    "north.sync-conflict-20261001-101010-ABCDEF.json",
    "C:\\x",
    "1.json\\..",
    "1e3",
    "\u0661.json",  # an Arabic one
    "01.json",
    "0.json",
    "-1.json",
    "99999999999999999999.json",
]


def test_names_that_are_none_in_every_folder(opened: HostileCoalition) -> None:
    """Sync tools, enemies and other filesystems leave names behind: a whole round goes on."""
    folders = {path.rpartition("/")[0] for path in opened.hostile.files}
    paths = opened.paths
    folders |= {"rounds", "ledger", "ledger/north", "ledger/south", paths.folder, paths.batches}
    folders |= {paths.releases, f"{paths.folder}/order", f"{paths.folder}/evidence"}
    for folder in folders:
        opened.hostile.list_also(folder, TRICKS)
    opened.relay("nurses", opened.seal(ROWS))
    opened.settle()
    opened.order_close()
    opened.settle()
    release_id = approve(opened)
    opened.settle()
    for name in opened.aggregators:
        with Office.open(opened.homes[name]) as office:
            (line,) = status(office)
            assert line.stage == "released"
    report = opened.audit()
    assert not report.faults
    finish(opened, release_id)


def test_a_chain_that_is_read_is_the_leaders(checked: HostileCoalition) -> None:
    """The control: what `fast_forward` signs is what the leader's own program would sign."""
    chain = checked.chain()
    data = OrderChain.start(chain.task).sign_next(Close(), checked.leader.key)
    body = parse_document(data, kind=ORDER).body
    assert set(body) == {"task", "seq", "previous", "event"} and body["seq"] == 1
