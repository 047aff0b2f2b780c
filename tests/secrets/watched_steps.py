"""What is typed in the watched round: the whole of it, and everything that can go wrong.

Imported by `watched_round` alone, after it has hung itself into the library.
"""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from watched_typist import Typist

REFUSED = (1, 2)
GOOD = {"region": "London", "pay": float(watch.ANSWER)}


def play(typist: Typist) -> None:
    """Play everything."""
    found(typist)
    back_up(typist)
    open_round(typist)
    digest, bundle = invite(typist)
    seal_reports(typist, digest, bundle)
    refuse_answers(typist, digest, bundle)
    relay(typist, digest)
    check(typist)
    refuse_keys(typist)
    release(typist)
    read_back(typist)
    destroy(typist)


def found(typist: Typist) -> None:
    """Identities; one aggregator's keys are under a passphrase."""
    pool = str(typist.folder / "pool")
    for name in ("north", "south", "nurses", "carers"):
        typist.prints[name] = typist(name, "init", name, "--pool", pool).strip()
    for wrong in (watch.WRONG_PASSPHRASE, ""):
        typist("north", "status", passphrase=wrong, code=1)
        typist("north", "sync", "--json", passphrase=wrong, code=1)


def named(typist: Typist, name: str) -> str:
    return f"{name}:{typist.prints[name]}"


def back_up(typist: Typist) -> None:
    """A backup with two trustees, rehearsed; once it breaks in the middle."""
    from grievance.backup import sets

    to = [f"--to={named(typist, name)}" for name in ("nurses", "carers")]
    typist.broken(sets, "make_set", "north", "backup", "make", *to, "--yes")
    typist("north", "backup", "make", *to, "--yes")
    asked = json.loads(typist("north", "backup", "rehearse", "--json", code=3))
    for name in ("nurses", "carers"):
        typist(name, "backup", "answer", "north", "--fingerprint", asked["request"], "--yes")
    typist("north", "backup", "rehearse")
    typist("north", "backup", "status", "--json")


def open_round(typist: Typist) -> None:
    """Card, task, signatures; the leader breaks off while it writes its keys."""
    from grievance.aggregator import rounds
    from grievance.crypto import keys

    plan = typist.folder / "inputs" / "plan.toml"
    plan.write_text(watch.PLAN)
    words = (str(plan), "--no-backup", f"--with={named(typist, 'south')}")
    words = ("round", "new", *words, f"--admit={named(typist, 'nurses')}", "--yes")
    typist.broken(keys, "_write_secret", "north", *words, after=1)
    typist("north", *words)
    rounds_there = sorted(path.name for path in (typist.folder / "pool" / "rounds").iterdir())
    round_id = rounds_there[-1]
    expect = f"--expect={named(typist, 'north')}"
    typist.broken(
        rounds, "_make_card", "south", "round", "join", round_id, expect, "--yes", "--no-backup"
    )
    typist("south", "round", "join", round_id, expect, "--yes", "--no-backup")
    typist.settle()
    typist("north", "admit", named(typist, "carers"))
    typist.settle()


def invite(typist: Typist) -> tuple[str, Path]:
    bundle = typist.folder / "inputs" / "round.json"
    return typist("north", "round", "invite", str(bundle)).strip(), bundle


def seal_reports(typist: Typist, digest: str, bundle: Path) -> None:
    """One from a file, one from a pipe, one from a conversation, a table."""
    inbox, inputs = typist.folder / "inbox", typist.folder / "inputs"
    inbox.mkdir()
    seal = ("seal", str(bundle), "--trust", digest)
    (inputs / "answers.json").write_text(json.dumps(GOOD))
    typist(None, *seal, "--answers", str(inputs / "answers.json"), "--out", str(inbox))
    piped = json.dumps(GOOD)
    typist(None, *seal, "--answers", "-", "--out", str(inbox), "--json", stdin=piped)
    typed = f"{watch.REFUSED}\nLondon\n{watch.OUT_OF_RANGE}\n{watch.ANSWER}\ny\n"
    typist(None, *seal, "--out", str(inbox), keyboard=typed)
    rows = f"region,pay\nLondon,{watch.ANSWER}\n"
    rows += f"North,{watch.ANSWER}\n" * 11 + f"{watch.REFUSED},{watch.ANSWER}\n"
    rows += f"Wales,{watch.OUT_OF_RANGE}\n"
    (inputs / "rows.csv").write_text(rows)
    out = typist.folder / "sealed"
    table = ("--table", str(inputs / "rows.csv"), "--out", str(out))
    for how in (("--dry-run",), (), ("--json",)):
        typist("office", *seal, *table, *how, code=1)
    typist("office", *seal, *table, "--partial", "--json")
    typist("office", *seal, *table[:3], f"{out}-again", "--partial", code=1)
    (out / "all.reports").rename(inbox / "all.reports")


def refuse_answers(typist: Typist, digest: str, bundle: Path) -> None:
    """Answers that are refused, files that do not read, and a device that breaks."""
    from grievance.crypto.hpke import HpkePublicKey

    module = importlib.import_module("grievance.client.seal")
    inputs = typist.folder / "inputs"
    seal = ("seal", str(bundle), "--trust", digest, "--answers", "-")
    bad: list[Any] = [
        {**GOOD, "region": watch.REFUSED},
        {**GOOD, "region": [watch.REFUSED]},
        {**GOOD, "pay": float(watch.OUT_OF_RANGE)},
        {**GOOD, "pay": f"{watch.ANSWER}1"},
        {**GOOD, "pay": {watch.REFUSED: watch.ANSWER}},
        {**GOOD, watch.REFUSED: watch.ANSWER},
        [watch.REFUSED],
    ]
    texts = [json.dumps(value) for value in bad]
    texts.append(f'{{"region": "{watch.REFUSED}", "pay": {watch.ANSWER}')
    texts.append(f'{{"pay": {watch.ANSWER}, "pay": {watch.OUT_OF_RANGE}}}')
    for text in texts:
        for how in ((), ("--json",)):
            typist(None, *seal, *how, stdin=text, code=REFUSED)
    for number, data in enumerate(
        (
            b'{"region": "' + watch.REFUSED.encode() + b'\xff\xfe"}',
            f"region,pay\n{watch.REFUSED}\n\xff{watch.ANSWER},,,,\n".encode("latin-1"),
            f"somewhere,pay\n{watch.REFUSED},{watch.ANSWER}\n".encode(),
        )
    ):
        path = inputs / f"bad-{number}.csv"
        path.write_bytes(data)
        out = str(typist.folder / "cwd" / f"out-{number}")
        table = ("seal", str(bundle), "--trust", digest, "--table", str(path), "--out", out)
        typist("office", *table, code=REFUSED)
        answers = ("seal", str(bundle), "--trust", digest, "--answers", str(path))
        typist(None, *answers, code=REFUSED)
    good = json.dumps(GOOD)
    typist(None, "seal", str(bundle), "--answers", "-", stdin=good, code=1)  # nobody vouched
    for owner, attribute in (
        (module, "commitment_of"),
        (module, "seal_shares"),
        (HpkePublicKey, "seal"),
        (type_of_vdaf(), "_shard_with_rand"),
    ):
        watched_broken_seal(typist, owner, attribute, seal, good)


def type_of_vdaf() -> type:
    from grievance.vdaf.prio3 import Prio3

    return Prio3


def watched_broken_seal(
    typist: Typist, owner: object, attribute: str, words: tuple[str, ...], text: str
) -> None:
    from unittest import mock

    real: Callable[..., object] = getattr(owner, attribute)

    def fail(*args: object, **how: object) -> object:
        raise RuntimeError("the device gave up")

    with mock.patch.object(owner, attribute, fail):
        typist(None, *words, stdin=text, code=None)
    if getattr(owner, attribute) is not real:
        raise RuntimeError("the double stayed")


def relay(typist: Typist, digest: str) -> None:
    """Tampered and short files are refused; the good ones go; a dishonest batch goes beside."""
    inbox, inputs = typist.folder / "inbox", typist.folder / "inputs"
    whole = next(inbox.glob("*.report")).read_bytes()
    for number, data in enumerate((whole[:-1], whole[:40], whole + b"x", b"GRVR" + whole[9:])):
        (inputs / f"{number}.report").write_bytes(data)
        typist("nurses", "relay", str(inputs / f"{number}.report"), "--trust", digest, code=1)
    typist("nurses", "relay", str(inbox), "--trust", digest, "--json")
    # Carers were let in as well, and relay what does not open, is not theirs, or lies.
    send_bad_reports(typist)


def send_bad_reports(typist: Typist) -> None:
    from dataclasses import replace

    from federation import encode, seal_measurement
    from grievance.client import seal
    from grievance.home import Home
    from grievance.pool.relay import make_batches, publish_batch
    from grievance.pool.rounds import read_task

    home = Home.open(typist.folder / "homes" / "carers")
    (round_id,) = (p.parent.name for p in (typist.folder / "pool").glob("rounds/*/task.json"))
    task = read_task(home.store, round_id)
    if task is None:
        raise RuntimeError("the round is not signed")
    honest = seal(task, GOOD)
    flipped = bytes([honest.ciphertexts[0][0] ^ 1]) + honest.ciphertexts[0][1:]
    lie = encode(task, GOOD)
    lie[0] = 2
    reports = [
        honest,
        replace(honest, ciphertexts=(flipped, honest.ciphertexts[1])),
        replace(honest, commitment=bytes(32)),
        seal_measurement(task, lie, seed=b"\x09" * 32),
        seal_measurement(task, encode(task, GOOD), commitment=b"\x05" * 32),
    ]
    for data in make_batches(task, reports, home.key, pad_to=1):
        publish_batch(home.store, task, "carers", data)


def check(typist: Typist) -> None:
    """Sync, breaking off in every kind of step on the way."""
    from grievance.aggregator import batches
    from grievance.aggregator.bench import Bench
    from grievance.aggregator.burns import BurnIndex
    from grievance.aggregator.state import State
    from grievance.client.input_share import InputShareOpener
    from grievance.pipelines import rows
    from grievance.pool.store import LocalStore

    stages: list[tuple[str, object, str, int]] = [
        ("north", InputShareOpener, "open", 3),
        ("north", type_of_vdaf(), "verify_init", 2),
        ("north", BurnIndex, "store_burns", 0),
        ("north", batches, "write_verify_file", 0),
        ("north", batches, "seal_at_rest", 0),
        ("north", State, "add_batch", 0),
        ("north", LocalStore, "put", 0),
        ("south", rows, "sum_opened", 0),
        ("south", Bench, "open_sum", 0),
        ("south", State, "decide_batch", 0),
    ]
    for name, owner, attribute, after in stages[:7]:
        typist.broken(owner, attribute, name, "sync", after=after)
    typist("north", "sync")
    for name, owner, attribute, after in stages[7:]:
        typist.broken(owner, attribute, name, "sync", after=after)
    # A verify file that was altered on the way is as if it were not there.
    (file,) = list((typist.folder / "pool").glob("rounds/*/verify/*/north"))[:1]
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    typist("south", "sync")
    file.write_bytes(data)
    typist.settle()
    typist("north", "status")
    typist("south", "status", "--json")


def refuse_keys(typist: Typist) -> None:
    """Key files that are wide open, links, cut short, of another kind; a damaged state."""
    typist.watch.tampering = True  # what lies there meanwhile is our own doing
    home = typist.folder / "homes" / "south"
    keys = [*sorted(home.glob("rounds/*/*.key")), home / "mailbox.key", home / "identity.pem"]
    for path in keys:
        whole = path.read_bytes()
        reads = ("backup", "answer", "north") if path.name == "mailbox.key" else ("sync", "--json")
        path.chmod(0o644)
        typist("south", *reads, code=refusal(path))
        path.chmod(0o600)
        for data in (whole[:-9], b"", keys[0].read_bytes() + b" "):
            path.write_bytes(data)
            typist("south", *reads, code=refusal(path))
        path.rename(path.with_suffix(".away"))
        path.symlink_to(path.with_suffix(".away"))
        typist("south", *reads, code=refusal(path))
        path.unlink()
        path.with_suffix(".away").rename(path)
        path.write_bytes(whole)
    state = home / "state.sqlite"
    whole = state.read_bytes()
    state.write_bytes(whole[:4096] + b"\xff" * 200 + whole[4296:])
    typist("south", "sync", code=1)
    state.write_bytes(whole)
    typist.watch.tampering = False
    typist("south", "sync")


def refusal(path: Path) -> int:
    """A mailbox key is not asked for by a request that is not there: typed wrongly."""
    return 2 if path.name == "mailbox.key" else 1


def release(typist: Typist) -> None:
    """Close, propose, approve; the charge breaks off before and after noise is drawn."""
    from grievance import privacy
    from grievance.aggregator import releases
    from grievance.aggregator.state import State

    typist("north", "round", "close", "--yes")
    typist.settle()
    release_id = typist("north", "release", "propose", "--yes").strip()
    typist("south", "release", "approve", release_id, "--yes")
    typist.broken(privacy, "draw", "north", "sync", after=1)
    typist.broken(releases, "digest_of", "north", "sync")
    typist.broken(State, "charge", "north", "sync")
    typist.settle()


def read_back(typist: Typist) -> None:
    """Everything that shows results, in words and as JSON."""
    typist("north", "release", "show")
    typist("south", "release", "show", "--json")
    typist("north", "release", "export", str(typist.folder / "cwd" / "results"))
    pool = str(typist.folder / "pool")
    trust = [f"--trust={typist.prints[name]}" for name in ("north", "south")]
    typist(None, "audit", pool, *trust)
    typist(None, "audit", pool, *trust, "--json")
    receipt = next((typist.folder / "inbox").glob("*.report"))
    typist(None, "counted", str(receipt), "--pool", pool, *trust)
    for name in ("north", "south", "nurses"):
        typist(name, "exposure")
        typist(name, "exposure", "--json")
    away = typist.folder / "homes" / "south" / "state.sqlite"
    away.unlink()
    typist("south", "sync", code=1)
    away.unlink(missing_ok=True)
    typist("south", "recover", "--alone")
    typist("south", "sync")


def destroy(typist: Typist) -> None:
    """Both destroy the round, one after it broke off between mark and deletion."""
    module = importlib.import_module("grievance.aggregator.destroy")
    typist.broken(module, "finish", "north", "round", "destroy", "--yes")
    typist("north", "sync")
    typist("south", "round", "destroy", "--yes")
    for name in ("north", "south"):
        typist(name, "status")
        typist(name, "exposure")
    shutil.rmtree(typist.folder / "inputs")
