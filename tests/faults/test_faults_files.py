"""Faults E1 to E16: hostile files, tables and pages, and what people get wrong with them.

Every test here is short; tests/pool, tests/hostile, tests/audit, tests/release and tests/secrets
drive the same faults in all their forms. Source: security.md, section 5.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import traceback
import warnings
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from cli_shell import type_words
from release_stage import ROWS, SYNC, codes_in, flat
from scanner import Vault
from thrift_bytes import catalogue

import grievance
from dishonest import TINY_ANSWERS
from grievance.client.report import Report, columns
from grievance.client.seal import draw
from grievance.crypto import keys
from grievance.errors import GrievanceError, PoolError
from grievance.pool.batch import LABEL, BatchFile, _signed_part, batch_digest
from grievance.pool.store import LocalStore
from grievance.release import Release, to_csv
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Callable

    from release_stage import Stage

SOURCE = Path(grievance.__file__).parent
DOCS = SOURCE.parents[1] / "docs"


def audit(stage: Stage, *words: str, where: Path | None = None) -> str:
    """What an auditor who knows the task's digest is told about the pool."""
    trust = ("--trust", stage.federation.task.digest.hex())
    ran = stage.type("north", "audit", str(where or stage.pool), *trust, *words)
    assert "Traceback" not in ran.err
    return ran.out + ran.err


# -- files that are not what they seem ---------------------------------------------------------


def test_e1_parquet_that_unfolds(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """From a worker and from a relay: refused before Arrow sees a byte, so no memory is taken."""
    stage = at("checked")
    task, key = stage.federation.task, stage.federation.homes["nurses"].key
    before = pa.default_memory_pool().max_memory()
    codes = set()
    for data in catalogue(columns(task)).values():
        part = _signed_part(task.digest, key.public.raw, 3, len(data), bytes(32))
        batch = part + key.sign(LABEL, part) + data
        with pytest.raises(GrievanceError) as error:
            list(BatchFile(batch, task).spans(100))
        codes.add(error.value.code)
        stage.federation.homes["nurses"].store.put(
            stage.federation.paths.batch("nurses", batch_digest(batch)), batch
        )
    assert codes <= {"batch.size", "batch.malformed"}
    length = stage.federation.chain().length
    stage.type("north", *SYNC).done()
    assert stage.federation.chain().length == length
    bomb = tmp_path / "bomb.reports"
    bomb.write_bytes(catalogue(columns(task))["a dictionary and one long run"])
    stage.refused(
        "nurses",
        *("relay", str(bomb), "--trust", task.digest.hex()),
        code="report.file",
        says="bomb.reports: not a file of this round's reports",
        next_step="ask for the file again",
    )
    assert pa.default_memory_pool().max_memory() - before < 1 << 20


def member(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


ZIPS: dict[str, Callable[[zipfile.ZipFile], object]] = {
    "a bomb": lambda z: z.writestr(member("a"), bytes(10**7), zipfile.ZIP_DEFLATED),
    "a parent folder": lambda z: z.writestr(member("pool/../../a"), b"x"),
    "an absolute path": lambda z: z.writestr(member("/tmp/a"), b"x"),
    "a link": lambda z: z.writestr(member("a", 0o120777), b"/etc/passwd"),
    "a name twice": lambda z: [z.writestr(member("a"), b"x") for _ in range(2)],
    "a clash of upper and lower case": lambda z: [z.writestr(member(n), b"x") for n in "Aa"],
}


def test_e2_a_bundle_that_is_none(at: Callable[[str], Stage], tmp_path: Path) -> None:
    stage = at("checked")
    for number, fill in enumerate(ZIPS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with zipfile.ZipFile(folder / "pool.zip", "w") as made:
                fill(made)
        stage.refused(
            "north",
            *("audit", str(folder / "pool.zip"), "--trust", stage.federation.task.digest.hex()),
            code="bundle.archive",
            says="pool.zip",
            next_step="fetch it again from where it came",
        )
        assert [path.name for path in folder.iterdir()] == ["pool.zip"]
    assert not Path("/tmp/a").exists()


def test_e3_links_pipes_and_devices(at: Callable[[str], Stage]) -> None:
    """In the places of files that are yet to come: as if nothing were there, and named by audit."""
    stage = at("checked")
    folder = stage.pool / stage.federation.paths.folder / "order"
    length = stage.federation.chain().length
    odd = [folder / f"{length + n}.json" for n in (1, 2, 3)]
    odd[0].symlink_to("/dev/zero")
    os.mkfifo(odd[1])
    odd[2].symlink_to(stage.federation.homes["north"].root / "identity.pem")
    store = LocalStore(stage.pool)
    for path, code in zip(odd, ("pool.link", "pool.kind", "pool.link"), strict=True):
        inside = path.relative_to(stage.pool).as_posix()
        assert store.size(inside) is None
        with pytest.raises(PoolError) as error:
            store.view(inside, 1 << 20)
        assert error.value.code == code
        assert inside in str(error.value)
    for name in ("south", "north"):
        stage.type(name, *SYNC).done()
        stage.type(name, "status").done()
    told = audit(stage)
    assert all(path.name in told for path in odd)
    assert "file.kind" in told
    assert "next: Remove it" in told
    # Our own file takes the place, and nothing is written through the link.
    kept = (stage.federation.homes["north"].root / "identity.pem").read_bytes()
    stage.type("north", "round", "close", "--yes").done()
    assert odd[0].is_file()
    assert not odd[0].is_symlink()
    assert (stage.federation.homes["north"].root / "identity.pem").read_bytes() == kept


# -- tables and pages --------------------------------------------------------------------------

LABELS = ("=HYPERLINK(1)", "+1", "-1", "@sum", 'a,"b"', "\U0001f4a3", "<script>x</script>", "שלום")
PLAN = """
title = "<script>alert(1)</script> & co"
campaign = "faults"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 0

[fields.answer]
question = "Which?"
choices = {choices}
required = true

[statistics.answers]
count = ["answer"]
"""


def plan_with(*labels: str) -> str:
    return PLAN.format(choices=json.dumps(labels, ensure_ascii=False))


def release_of(number: int) -> Release:
    """A release with labels that spreadsheets and browsers would run."""
    task = make_coalition(plan_with(*LABELS), kem="X25519").task
    return Release.build(
        task,
        {"answers": [number] * len(LABELS)},
        release_id="0" * 16,
        accepted=10,
        accepted_root=bytes(32),
        noisy_shares={entry.name: "00" * 32 for entry in task.aggregators},
    )


def test_e4_labels_that_a_spreadsheet_would_run() -> None:
    for table in (made := release_of(-3)["answers"], made.raw):
        data = to_csv(table)
        assert data.count(b"\r\n") == len(LABELS) + 1
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
        for row, label in zip(rows, LABELS, strict=True):
            assert row["answer"] == (f"'{label}" if label[0] in "=+-@" else label)
            # A number stays one: negative noise is no text, and gets no quote.
            assert float(row["estimate"]) == -3
        assert b"'-3" not in data
    for start in "\t\r\0":
        with pytest.raises(GrievanceError) as error:
            make_coalition(PLAN.format(choices=json.dumps([f"{start}x", "y"])))
        assert error.value.code in ("plan.label", "plan.syntax")


class Tags(HTMLParser):
    """The elements and the texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_e5_texts_of_strangers_in_a_page(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """A pool may hold files of any name; in the page about it they are text and nothing else."""
    stage = at("released")
    names = [*LABELS[4:6], "<script>alert(1)<", '"><img src=x onerror=alert(1)>', "\u202egnp.exe"]
    for name in [*names, "two\nlines"]:
        (stage.pool / name).write_bytes(b"")
    audit(stage, "--html", str(tmp_path / "hostile.html"))
    page = (tmp_path / "hostile.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert not {"script", "img", "iframe", "a", "x", "form"} & found.found
    assert "<script>alert(1)<" in found.words
    assert "\u202e" not in page
    # A release's own page: title and labels of its plan.
    told = Tags(release_of(20).to_html())
    assert not {"script", "img", "iframe"} & told.found
    assert "<script>x</script>" in told.words
    assert "<script>alert(1)</script> & co" in told.words


def test_e6_a_pickle_in_the_pool_is_never_loaded(
    at: Callable[[str], Stage], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (ran,)

    stage, data = at("checked"), pickle.dumps(Evil())
    yaml = b"!!python/object/apply:pathlib.Path.touch [%s]" % str(ran).encode()
    length = stage.federation.chain().length
    for path, content in {
        stage.federation.paths.order(length + 1): data,
        stage.federation.paths.batch("nurses", bytes(32)): data,
        "partners/evil.json": yaml,
        "data.pkl": data,
        "data.yaml": yaml,
    }.items():
        (stage.pool / path).write_bytes(content)
    for words in (SYNC, ("status",)):
        stage.type("north", *words).done()
    audit(stage)
    assert not ran.exists()
    assert pickle.loads(data) is None  # the control: whoever loads it, runs it
    assert ran.exists()
    loaders = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|yaml|marshal|shelve|dill|joblib)\b", re.M
    )
    assert loaders.search("    import pickle")
    for path in SOURCE.rglob("*.py"):
        assert not loaders.search(path.read_text(encoding="utf-8")), path


def test_e7_names_that_two_systems_spell_differently(at: Callable[[str], Stage]) -> None:
    stage = at("checked")
    store = LocalStore(stage.pool)
    for name in ("caf\u00e9", "cafe\u0301"):
        with pytest.raises(PoolError) as error:
            store.put(f"partners/{name}.json", b"")
        assert error.value.code == "pool.path"
        ran = stage.type("north", "init", name, "--pool", str(stage.pool), "--home", "new")
        assert ran.code in (1, 2)
        assert "grievance: hint: " in ran.err
        assert not Path("new").exists()
        (stage.pool / f"{name}.json").write_bytes(b"")
    assert not any(name for name in stage.files() if name.startswith("partners/caf"))
    stage.type("south", *SYNC).done()
    assert audit(stage).count("file.unknown") >= 2


# -- keys and places ---------------------------------------------------------------------------


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


def test_e9_another_pool_or_plan_than_the_one_meant(
    at: Callable[[str], Stage], tmp_path: Path
) -> None:
    stage = at("second")
    stage.federation.settle()
    stage.federation.round_id = stage.second_id
    digest = stage.federation.task.digest.hex()
    stage.federation.round_id = stage.round_id
    digest_of_first = stage.federation.task.digest.hex()
    ran = stage.refused(
        "carers",
        *("release", "show", "--round", stage.round_id, "--trust", digest),
        code="trust.mismatch",
        says="is neither this task nor one of its aggregators",
        next_step="is this the folder, the file and the round you meant?",
    )
    assert digest in ran.err
    assert f"the task of {stage.round_id}, by north, south" in flat(ran.err)
    (tmp_path / "empty").mkdir()
    told = audit(stage, where=tmp_path / "empty")
    assert "FAIL" in told
    assert f"task.trust: {digest_of_first} is neither a round of this pool nor a key in it" in told
    assert "next: Call the organisations" in told
    stage.refused(
        "north",
        *("release", "show", "--pool", str(tmp_path / "none"), "--trust", digest),
        code="pool.missing",
        says=f"there is no pool folder at {tmp_path / 'none'}",
        next_step="create the folder, or wait",
    )


def in_another(*words: str, python: tuple[str, ...] = (), **environment: str) -> tuple[int, bytes]:
    """A command in a process of its own; its exit code, and every byte it wrote."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    kept = {k: v for k, v in kept.items() if not k.startswith("GRIEVANCE_")}
    ran = subprocess.run(
        [sys.executable, *python, "-c", "from grievance.cli import main; main()", *words],
        env={**kept, "PYTHONPATH": str(SOURCE.parent), **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert b"Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stdout + b"== words\n" + ran.stderr


def test_e10_the_same_bytes_in_another_locale(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(plan_with("Łódź", "Île"), encoding="utf-8")
    words = ("plan", "check", str(plan), "--reports", "1500")
    usual = in_another(*words, LC_ALL="C.UTF-8", PYTHONUTF8="1")
    assert usual[0] == 0
    assert re.search(rb"\d\.\d", usual[1])
    assert usual == in_another(
        *words,
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
        LC_NUMERIC="de_DE.UTF-8",
    )


def test_e11_without_asserts(tmp_path: Path) -> None:
    """No check is an `assert`, so `python -O` leaves nothing out; a refusal there is a refusal."""
    stated = re.compile(r"^\s*assert\b", re.M)
    assert stated.search("    assert x")
    for path in SOURCE.rglob("*.py"):
        assert not stated.search(path.read_text(encoding="utf-8")), path
    plan = tmp_path / "plan.toml"
    plan.write_text(plan_with("x", "X"), encoding="utf-8")
    code, said = in_another("plan", "check", str(plan), "--json", python=("-O",))
    assert code == 2
    assert b'"error": "plan.label"' in said
    assert b"take one out or rename it" in said


# -- what must not be told ---------------------------------------------------------------------


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
    for _, salt, rand, nonce in drawn:
        for kind, data in {"salt": salt, "randomness": rand, "nonce": nonce}.items():
            vault.add(kind, data)
    for name in federation.aggregators:
        home = federation.homes[name]
        files = home.round_files(stage.round_id)
        vault.add("signing key", home.key.export().reveal())
        vault.add("verify key", keys.read_verify_key(files.verify).reveal())
        vault.add("state key", keys.read_state_key(files.state).reveal())
        vault.add("HPKE key", keys.read_hpke_key(files.hpke).export().reveal())
    assert vault.counts["nonce"] == 3
    assert vault.search(f"debug: {drawn[0][3].hex()}".encode()) == {("nonce", "hex")}
    assert vault.search((said + caplog.text).encode()) == set()
    assert len(federation.chain().batches) == 2


def test_e13_errors_hold_no_secret(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """Shares that do not decode, ciphertexts that do not open, answers that do not fit."""
    stage, vault = at("checked"), Vault()
    task, said = stage.federation.task, ""
    secret = os.urandom(4096)
    vault.add("share", secret)
    vdaf, short = task.vdaf, Report(task.digest, secret[:16], secret, (secret, secret))
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


# -- too much, too little ----------------------------------------------------------------------


def test_e15_more_categories_than_anybody_can_read(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    for number, code, says in (
        (201, "plan.label", "must be 2 to 200 choices, not 201; add what is missing, or put rare"),
        (10**5, "plan.syntax", "no plan needs as much"),
    ):
        plan.write_text(plan_with(*(f"c{i}" for i in range(number))), encoding="utf-8")
        ran = type_words("plan", "check", str(plan))
        assert ran.code == 2
        assert says in flat(ran.err)
        assert len(ran.err) < 2000
        assert codes_in(type_words("plan", "check", str(plan), "--json")) == {code}


def test_e16_a_batch_that_has_arrived_in_part(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is held against its header first; it waits, and goes on when it is whole."""
    stage = at("relayed")
    (path,) = (stage.pool / stage.federation.paths.batches).iterdir()
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("grievance.pool.batch.locate", lambda *_: pytest.fail("it was parsed"))
        for size in (0, 50, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(GrievanceError) as error:
                BatchFile(whole[:size], stage.federation.task)
            assert error.value.code in ("batch.short", "batch.size")
            assert "Nothing to do now" in stage.type("north", *SYNC).done().err
    path.write_bytes(whole)
    stage.type("north", *SYNC).done()
    path.write_bytes(whole[:-1])
    with stage.unchanged():
        ran = stage.type("south", *SYNC)
        told = flat(ran.err + stage.type("south", "status").out)
    assert "waits for nurses: batch" in told
    assert "has not arrived grievance sync" in told
    path.write_bytes(whole)
    stage.federation.settle()
    assert [row["accepted"] for row in stage.memory("south")["batches"]] == [ROWS]
    assert not stage.audit().faults
