"""A pool written by an enemy: nothing in it crashes the audit, makes it hang or fills memory."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from audit_world import Pool, amiss, faults

from dishonest import content_of
from federation import PLAN
from grievance.audit import audit_pool, files
from grievance.audit.result import MAX_FINDINGS
from grievance.crypto.documents import sign_document
from grievance.crypto.signing import SigningKey
from grievance.markup import plain_text
from grievance.pool.batch import HEADER_SIZE, LABEL, batch_digest
from grievance.testing import make_coalition


def test_links_pipes_devices_and_odd_names_are_findings(pool: Pool) -> None:
    folder = pool.file(pool.paths.folder)
    (folder / "batches" / "link").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "order" / "8.json").mkdir()
    (folder / "order" / "8.json" / "x").write_bytes(b"")
    (folder / "new\nline").write_bytes(b"")
    (folder / "\udcff").write_bytes(b"")
    (folder / "a" / "b" / "c" / "d" / "e" / "f").mkdir(parents=True)
    (pool.folder / "..hidden").write_bytes(b"")
    (pool.folder / "elsewhere").symlink_to("/")
    report = pool.audit()
    assert report.verdict == "pass"
    assert {f.rule for f in report.findings} == {"file.kind", "file.unknown"}
    kinds = {f.file for f in report.findings if f.rule == "file.kind"}
    base = pool.paths.folder
    assert kinds == {f"{base}/batches/link", f"{base}/loop", f"{base}/pipe", "elsewhere"}
    assert any("\\n" in f.file for f in report.findings)
    assert all(f.file.isprintable() and f.message.isprintable() for f in report.findings)


def test_a_pipe_or_link_in_the_place_of_a_file_is_named(pool: Pool) -> None:
    path = pool.paths.decide(pool.batch_places()[0], "south")
    pool.file(path).unlink()
    os.mkfifo(pool.file(path))
    named = {("note", "file.kind", path), ("waiting", "decide.missing", path)}
    assert {(f.severity, f.rule, f.file) for f in pool.audit().findings} == named
    pool.file(path).unlink()
    pool.file(path).symlink_to(pool.file(path.replace("south", "north")))
    assert {(f.severity, f.rule, f.file) for f in pool.audit().findings} == named


def test_files_of_sync_tools_are_only_noted(pool: Pool) -> None:
    (pool.folder / ".stfolder").mkdir()
    pool.write(".stfolder/marker", b"")
    pool.write("partners/.DS_Store", b"")
    report = pool.audit()
    assert report.verdict == "pass"
    assert {f.rule for f in report.findings} == {"file.unknown"}


def test_a_file_that_goes_away_while_it_is_looked_at(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = files.PoolFiles._walk_local

    def walk(self: files.PoolFiles, store: Any) -> None:
        seen(self, store)
        pool.remove("partners/nurses.json")
        path = next(path for path in pool.files() if "/batches/nurses-" in path)
        pool.write(path, b"")

    monkeypatch.setattr(files.PoolFiles, "_walk_local", walk)
    report = pool.audit()
    assert report.verdict == "incomplete"
    assert {f.rule for f in amiss(report)} == {"file.read", "batch.digest"}


NASTY = {
    "deep": b'{"body":' * 100_000,
    "deep list": b"[" * 1_000_000,
    "long number": b'{"a":' + b"9" * 1_000_000 + b"}",
    "many keys": b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}",
    "not text": bytes(range(256)) * 100,
    "zeros": bytes(100_000),
    "empty": b"",
}


@pytest.mark.parametrize("what", sorted(NASTY))
def test_nonsense_in_every_place_is_named(pool: Pool, what: str) -> None:
    kept = {path: pool.read(path) for path in pool.files()}
    for path in kept:
        pool.write(path, NASTY[what])
    began = time.process_time()
    report = pool.audit()
    assert report.verdict == "untrusted" and not report.rounds
    assert "audit.error" not in {f.rule for f in report.findings}
    assert time.process_time() - began < 20
    # One after the other, so that what comes later is reached as well.
    for path in [p for p in kept if "verify" in p or "decide" in p or "ledger" in p][:12]:
        for other, data in kept.items():
            pool.write(other, data)
        pool.write(path, NASTY[what])
        report = pool.audit()
        assert any(f.file == path for f in amiss(report)) and not report.faults
        assert "audit.error" not in {f.rule for f in report.findings}


def signed_nonsense(pool: Pool, generator: random.Random) -> Any:
    """A value that some field might hold, and should not."""
    return generator.choice(
        [None, True, -1, 0, 2**53 - 1, "", "x" * 1000, [], {}, [[]], {"a": 1}, "00" * 32, "../.."]
    )


def test_signed_nonsense_never_crashes(pool: Pool) -> None:
    """Every signed document with a field replaced, signed by its owner: found, and survived."""
    generator = random.Random(1)
    owners = {key.public: key for key in pool.keys.values()}
    for path in pool.files():
        if not path.endswith(".json") or path.endswith("task.json"):
            continue
        data = pool.read(path)
        signer = owners[signer_of(data)]
        for _ in range(3):
            body = pool.body(path)
            place: Any = body
            key = generator.choice(sorted(place))
            while isinstance(place[key], dict) and place[key] and generator.random() < 0.8:
                place = place[key]
                key = generator.choice(sorted(place))
            value = signed_nonsense(pool, generator)
            if place[key] == value:
                continue
            place[key] = value
            pool.sign_again(path, signer, lambda old, new=body: (old.clear(), old.update(new)))
            report = pool.audit()
            # Two fields are free text that only their owner's signature stands for.
            assert report.verdict != "pass" or key in ("display_name", "reason"), (path, key, value)
            stopped = [f for f in report.findings if f.rule == "audit.error"]
            assert not stopped, (path, key, value, stopped)
        pool.write(path, data)


def signer_of(data: bytes) -> Any:
    import json

    from grievance.crypto.documents import b64decode
    from grievance.crypto.signing import VerifyingKey

    return VerifyingKey(b64decode(json.loads(data)["signer"]))


def test_a_task_with_every_field_replaced_never_crashes(pool: Pool) -> None:
    import json

    from grievance.crypto.documents import canonical

    generator = random.Random(2)
    data = pool.read(pool.paths.task)
    for key in json.loads(data):
        for _ in range(3):
            value = json.loads(data)
            value[key] = signed_nonsense(pool, generator)
            if canonical(value) == data:
                continue
            pool.write(pool.paths.task, canonical(value))
            report = pool.audit()
            assert report.verdict in ("untrusted", "incomplete"), key
            assert "audit.error" not in {f.rule for f in report.findings}, key


def test_claims_of_size_cost_nothing(pool: Pool) -> None:
    """A leader orders a batch of 2^53 rows, and a decision about them follows."""
    digest = hashlib.sha256(b"nothing").hexdigest()
    pool.without_close()
    path = pool.append_event(
        {"type": "batch", "partner": "nurses", "batch": digest, "rows": 2**53 - 1}
    )
    seq = int(Path(path).stem)
    body = pool.body(pool.paths.decide(pool.batch_places()[0], "south"))
    body |= {"seq": seq, "rows": 2**53 - 1, "batch": digest}
    data = sign_document("grievance/2 decision", body, pool.keys["south"])
    pool.write(pool.paths.decide(seq, "south"), data)
    tracemalloc.start()
    report = pool.audit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "order.event" in faults(report) and peak < 64 << 20


def test_a_hostile_footer_is_the_partners_own_loss(pool: Pool) -> None:
    """A batch that is signed as it should be and whose Parquet footer lies."""
    path = next(path for path in pool.files() if "/batches/carers-" in path)
    data = pool.read(path)
    generator = random.Random(3)
    for _ in range(40):
        payload = bytearray(data[HEADER_SIZE:])
        place = generator.randrange(len(payload) - 600, len(payload))
        payload[place] ^= 1 << generator.randrange(8)
        signed = data[: HEADER_SIZE - 96] + content_of(pool.task, bytes(payload))
        batch = signed + pool.keys["carers"].sign(LABEL, signed) + bytes(payload)
        fresh = pool.paths.batch("carers", batch_digest(batch))
        pool.write(fresh, batch)
        report = pool.audit()
        assert not report.faults
        pool.remove(fresh)


def test_findings_are_limited(pool: Pool) -> None:
    folder = pool.file(pool.paths.folder)
    for number in range(MAX_FINDINGS + 50):
        (folder / f"x{number}").write_bytes(b"")
    report = pool.audit()
    assert len(report.findings) == MAX_FINDINGS and report.omitted == 50


def test_a_pool_of_too_many_files_is_refused_in_time(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 20)
    report = pool.audit()
    assert "file.unread" in {f.rule for f in amiss(report)}


def test_text_that_could_move_a_cursor_is_spelled_out() -> None:
    assert plain_text("a\x1b[2Jb\u202ec\n") == "a\\x1b[2Jb\\u202ec\\n"


def test_a_stranger_cannot_borrow_a_name(pool: Pool) -> None:
    """A second campaign with keys of its own, under the names of the first one's parties."""
    other = make_coalition(PLAN.decode(), ("north", "south"), round_id="trial-00000001")
    pool.write("rounds/trial-00000001/task.json", other.task.data)
    pool.write("rounds/trial-00000001/plan.toml", other.plan_file)
    for name, data, card in zip(other.names, other.signatures, other.cards, strict=True):
        pool.write(f"rounds/trial-00000001/signatures/{name}.json", data)
        pool.write(f"rounds/trial-00000001/cards/{name}.json", card.data)
    pool.write("rounds/trial-00000001/verify-key.json", other.sealed_verify_key)
    report = pool.audit()
    assert report.verdict == "pass"
    (found,) = report.findings
    assert (found.severity, found.rule, found.file) == (
        *("note", "task.trust"),
        "rounds/trial-00000001",
    )
    assert "7 files" in found.message
    assert report.keys["north"] == pool.task.aggregators[0].member.fingerprint


def test_a_copy_of_a_ledger_is_a_copy(pool: Pool) -> None:
    pool.write("ledger/stranger/1.json", pool.read("ledger/north/1.json"))
    report = pool.audit()
    assert report.verdict == "pass"
    (found,) = report.findings
    assert (found.rule, found.file) == ("file.unknown", "ledger/stranger/1.json")
    assert "a copy of ledger/north/1.json" in found.message


def test_a_fork_that_proves_nothing_accuses_nobody(pool: Pool) -> None:
    from grievance.ledger.checkpoint import sign_checkpoint
    from grievance.ledger.versions import sign_versions

    forger = SigningKey.generate()
    real = pool.read("ledger/north/1.checkpoint")
    forged = sign_checkpoint("north", 1, b"\x01" * 32, forger)
    for notes in ([real, real], [real, forged], [real, b"x"]):
        data = sign_versions("ledger/north/1.checkpoint", *notes, pool.keys["south"])
        pool.write("ledger/north/1.south.fork", data)
        report = pool.audit()
        assert report.verdict == "pass"
        (found,) = report.findings
        assert found.rule == "file.unknown" and "proves nothing" in found.message


def test_a_large_pool_takes_flat_memory_and_no_arrow(pool: Pool) -> None:
    """Batches are streamed and never parsed by a library: it is not even imported."""
    code = (
        "import sys; from grievance.audit import audit_pool; "
        f"r = audit_pool({str(pool.folder)!r}, trust={pool.trust!r}); "
        "heavy = {'pyarrow', 'opendp', 'numba', 'numpy', 'pandas'} & set(sys.modules); "
        "print(r.verdict, sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "pass []"


def test_an_empty_pool_has_nothing_to_vouch_for(tmp_path: Path) -> None:
    assert audit_pool(tmp_path).verdict == "untrusted"
    report = audit_pool(tmp_path, trust=["00" * 32])
    assert report.verdict == "untrusted" and {f.rule for f in amiss(report)} == {"task.trust"}


def test_a_folder_that_is_no_round_is_unknown(pool: Pool) -> None:
    pool.write("rounds/trial-ffffffff/order/1.json", pool.read(pool.paths.order(1)))
    pool.write("rounds/trial-ffffffff/junk", b"x")
    report = pool.audit()
    assert report.verdict == "pass"
    assert [(f.rule, f.file) for f in report.findings] == [("task.trust", "rounds/trial-ffffffff")]


def test_a_ledger_cut_short_is_no_pass(campaign: Pool) -> None:
    """The last release taken away with all that speaks of it; one cosignature was forgotten."""
    kept = "ledger/north/2.south.cosignature"
    events = sorted(int(p.stem) for p in campaign.file(f"{campaign.paths.folder}/order").iterdir())
    campaign.remove(campaign.paths.releases, campaign.paths.order(events[-1]))
    for path in campaign.files():
        if path.startswith("ledger/") and "/2." in path and path != kept:
            campaign.remove(path)
    report = campaign.audit()
    assert [(f.rule, f.severity) for f in report.findings] == [("ledger.checkpoint", "waiting")]
    assert report.verdict == "incomplete"
    campaign.remove(kept)
    assert campaign.audit().verdict == "pass"  # an older copy, as good as it was then
