"""Known answers, official and our own, and the command that replays them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import make_vectors
import pytest

from grievance.errors import ShapeError
from grievance.vdaf import FIELD64, FIELD128, XofTurboShake128
from grievance.vdaf.check import check, check_file, main

OWN = sorted(make_vectors.DATA.glob("*.json"))


def replay(tmp_path, vector, name="Prio3BlockCountVec_x.json"):
    path = tmp_path / name
    path.write_text(vector if isinstance(vector, str) else json.dumps(vector))
    return check_file(path, name)


@pytest.fixture
def vector():
    return json.loads((make_vectors.DATA / "Prio3BlockCountVec_1.json").read_text())


def test_official_vectors(shared):
    outcomes = check(shared / "vectors" / "vdaf")
    outcomes.append(
        check_file(shared / "vectors" / "XofTurboShake128.json", "XofTurboShake128.json")
    )
    assert len(outcomes) >= 17
    assert {o.status for o in outcomes} == {"pass"}, [o for o in outcomes if o.status != "pass"]


def test_official_vectors_fail_once_a_byte_is_changed(shared, tmp_path):
    """One byte of every listed message, in every file that is not about failure."""
    for path in sorted((shared / "vectors" / "vdaf").glob("*_[0-9].json")):
        good = json.loads(path.read_text())
        report = good["reports"][0]
        for holder, key in (
            *((report, k) for k in ("nonce", "rand", "public_share") if report[k]),
            *((report["input_shares"], i) for i in range(good["shares"])),
            *((report["verifier_shares"][0], i) for i in range(good["shares"])),
            *((report["out_shares"], i) for i in range(good["shares"])),
            *((good["agg_shares"], i) for i in range(good["shares"])),
            (good, "ctx"),
            (good, "verify_key"),
        ):
            before = holder[key]
            holder[key] = f"{int(before[:2], 16) ^ 1:02x}{before[2:]}"
            assert replay(tmp_path, good, path.name).status == "fail", (path.name, key)
            holder[key] = before
        assert replay(tmp_path, good, path.name).status == "pass"


def test_official_vectors_fail_once_a_verdict_is_changed(shared, tmp_path):
    for path in sorted((shared / "vectors" / "vdaf").glob("*.json")):
        good = json.loads(path.read_text())
        for operation in good["operations"]:
            operation["success"] = not operation["success"]
            assert replay(tmp_path, good, path.name).status == "fail", (path.name, operation)
            operation["success"] = not operation["success"]


def test_official_vectors_are_recognised_without_their_names(shared, tmp_path):
    folder = shared / "vectors"
    for path in [folder / "XofTurboShake128.json", *sorted(folder.glob("vdaf/*.json"))]:
        outcome = replay(tmp_path, path.read_text(), "some-case.json")
        if "Multiproof" in path.name:  # nothing in that file tells it from SumVec
            continue
        assert outcome.status == "pass", path.name
        assert path.name.startswith(outcome.algorithm)


@pytest.mark.parametrize(
    "path", OWN, ids=lambda path: path.stem.removeprefix("Prio3BlockCountVec_")
)
def test_own_vectors(path):
    assert check_file(path, path.name).status == "pass"


def test_own_vectors_are_what_the_script_writes():
    written = {path.name: path.read_text() for path in OWN}
    assert written == make_vectors.files()


@pytest.mark.parametrize("path", OWN[:6], ids=lambda path: path.stem)
def test_own_vectors_fail_once_a_verdict_is_changed(tmp_path, path):
    vector = json.loads(path.read_text())
    for operation in vector["operations"]:
        operation["success"] = not operation["success"]
        assert replay(tmp_path, vector).status == "fail", operation
        operation["success"] = not operation["success"]


def test_a_second_encoding_of_a_message_would_be_noticed(tmp_path, vector, monkeypatch):
    monkeypatch.setattr(
        "grievance.vdaf.codec.Prio3Codec.encode_verifier_message", lambda self, message: b""
    )
    vector["operations"] = vector["operations"][1:3] + vector["operations"][4:5]
    outcome = replay(tmp_path, vector)
    assert (outcome.status, outcome.detail) == (
        "fail",
        "a message decodes, but encodes to other bytes",
    )


def test_own_bad_vectors_fail_where_they_should():
    failing = {}
    for path in OWN:
        for operation in json.loads(path.read_text())["operations"]:
            if not operation["success"]:
                failing.setdefault(operation["operation"], set()).add(path.stem)
    assert {k: len(v) for k, v in failing.items()} == {
        "verifier_shares_to_message": 16,
        "verify_next": 1,
        "verify_init": 4,
    }


# -- files that are wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "7",
        '"Prio3Count"',
        "{" * 100_000,
        "[" * 100_000,
        "9" * 100_000,
        "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
        '{"operations": [], "shares": 2}',
        '{"operations": 1, "shares": 2}',
        '{"seed": "00", "dst": "", "binder": "", "length": 1}',
        '{"seed": "0", "dst": "", "binder": "", "length": 1, "derived_seed": ""}',
        '{"seed": "00", "dst": "", "binder": "", "length": 1e9, "derived_seed": ""}',
    ],
)
def test_files_that_are_no_vectors_fail_in_words(tmp_path, text):
    outcome = replay(tmp_path, text, "case.json")
    assert outcome.status == "fail"
    assert outcome.detail
    assert "\n" not in outcome.detail


def test_every_part_of_a_vector_missing_or_of_another_type(tmp_path, vector):
    """Any entry dropped or replaced by any type: a clear failure or a pass, never a traceback."""

    def places(node):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(items):
            yield node, key
            if isinstance(value, (dict, list)):
                yield from places(value)

    small = {**vector, "reports": vector["reports"][:1], "operations": vector["operations"][:6]}
    outcomes = set()
    for node, key in places(small):
        before = node[key]
        for value in (None, True, -1, 10**30, 1.5, "zz", "00", [], {}, [[]], [None]):
            node[key] = value
            outcomes.add(replay(tmp_path, small).status)
        node[key] = before
    assert outcomes == {"fail", "pass"}
    for key in list(small):
        without = {k: v for k, v in small.items() if k != key}
        expected = "pass" if key in {"agg_shares", "agg_result"} else "fail"
        assert replay(tmp_path, without).status == expected, key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shares", 1),
        ("shares", 10**9),
        ("chunk_length", 0),
        ("chunk_length", 10**12),
        ("blocks", []),
        ("blocks", [{"length": 10**12, "max_weight": 1}]),
        ("blocks", [{"length": 2, "max_weight": 3}]),
        ("agg_param", "00"),
        ("verify_key", "00"),
        ("ctx", "00" * 70_000),
        ("agg_result", [2, 1, 2, 1, 0, 1]),
        ("agg_result", [True, 1, 1, 1, 0, 1]),
        ("agg_result", [1.0, 1, 1, 1, 0, 1]),
    ],
)
def test_wrong_values(tmp_path, vector, key, value):
    assert vector["agg_result"] == [1, 1, 1, 1, 0, 1]
    assert replay(tmp_path, vector).status == "pass"
    assert replay(tmp_path, {**vector, key: value}).status == "fail"


def test_operations_out_of_order_or_unknown(tmp_path, vector):
    operations = vector["operations"]
    for wrong in (
        [operations[4]],
        [{"operation": "prep_init", "success": True, "report_index": 0}],
        [{"operation": "shard", "success": True, "report_index": 99}],
        [{"operation": "verify_init", "success": True, "report_index": 0, "aggregator_id": 9}],
        [*operations[:3], {**operations[3], "round": 1}],
        [*operations[:4], {**operations[4], "round": 2}],
    ):
        assert replay(tmp_path, {**vector, "operations": wrong}).status == "fail"


def test_a_refused_report_is_not_aggregated(tmp_path):
    """A batch of which one report fails: the rest adds up."""
    run = make_vectors.Run("mixed", 2, make_vectors.ANSWERED_AND_CELLS, 3)
    run.honest([1, 0, 1, 0, 0, 0])
    run.aggregate()
    mixed = run.vector()
    mixed["reports"].append({**mixed["reports"][0], "measurement": [9] * 6, "out_shares": []})
    refusal = {"operation": "shard", "report_index": 1, "success": False}
    assert replay(tmp_path, mixed).status == "fail"  # nobody refused it, and it has no shares
    mixed["operations"].insert(0, refusal)
    assert replay(tmp_path, mixed).status == "pass"


def test_algorithms_that_are_not_built_are_skipped(tmp_path):
    for name in ("Poplar1_0", "IdpfBBCGGI21_0", "XofFixedKeyAes128", "Prio3Unheard_0", "Mastic_1"):
        outcome = replay(tmp_path, {"operations": [], "shares": 2}, f"{name}.json")
        assert outcome.status == "skip", name
        assert outcome.algorithm in outcome.detail
    assert replay(tmp_path, {"operations": [], "bits": 4, "shares": 2}, "x.json").status == "skip"


def test_names_are_found_anywhere_in_a_file_name(tmp_path):
    text = OWN[0].read_text()
    for name in ("case-7 Prio3BlockCountVec.json", "prio3blockcountvec.json", "prio3-7.json"):
        assert replay(tmp_path, text, name).status == "pass", name


def test_multiproof_with_a_field_and_proofs_of_its_own(shared, tmp_path):
    path = shared / "vectors" / "vdaf" / "Prio3SumVecWithMultiproof_0.json"
    good = json.loads(path.read_text())
    for extra, status in (
        ({"proofs": 3, "field": "Field64"}, "pass"),
        ({"proofs": 2}, "fail"),
        ({"proofs": 300}, "fail"),
        ({"field": "Field128"}, "fail"),
        ({"field": "Field96"}, "fail"),
        ({"field": 64}, "fail"),
    ):
        assert replay(tmp_path, {**good, **extra}, path.name).status == status, extra


# -- the command -----------------------------------------------------------------------------


def test_the_command_prints_a_line_a_file_and_the_count_last(capsys):
    assert main([str(make_vectors.DATA)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(OWN) + 1
    assert lines[-1] == f"{len(OWN)} passed, 0 failed"
    assert all(line.startswith("pass  Prio3BlockCountVec_") for line in lines[:-1])


def test_the_command_fails_when_anything_does(tmp_path, capsys):
    good = OWN[0].read_text()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / OWN[0].name).write_text(good)
    (tmp_path / "broken\nname.json").write_text(good[:-5])
    (tmp_path / "Poplar1_0.json").write_text("{}")
    (tmp_path / "README.md").write_text("not a vector")
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "skip  Poplar1_0.json: Poplar1 is not built here",
        "fail  broken\\nname.json: not readable as JSON",
        f"pass  deep/er/{OWN[0].name}: 9 operations",
        "1 passed, 1 failed",
    ]


def test_the_command_as_json(tmp_path, capsys):
    (tmp_path / OWN[0].name).write_text(OWN[0].read_text())
    (tmp_path / "Poplar1_0.json").write_text("{}")
    assert main([str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 0, 1)
    assert result["files"][1] == {
        "file": OWN[0].name,
        "status": "pass",
        "algorithm": "Prio3BlockCountVec",
        "operations": 9,
        "detail": "9 operations",
    }


@pytest.mark.parametrize("content", [None, "{}"])
def test_nothing_found_is_a_failure(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "Poplar1_0.json").write_text(content)
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 0 failed"
    assert main([str(tmp_path / "nowhere")]) == 1


def test_things_that_are_no_regular_files(tmp_path, capsys):
    (tmp_path / "Prio3Count_0.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "Prio3Count_1.json")
    (tmp_path / "Prio3Count_2.json").mkdir()
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 2 failed"


def test_as_a_module_without_a_traceback(tmp_path):
    (tmp_path / "x.json").write_text("\x00")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "grievance.vdaf.check", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LANG": "C", "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"
    assert "Traceback" not in done.stdout + done.stderr


# -- the XOF ---------------------------------------------------------------------------------


def test_the_xof_is_one_stream():
    whole = XofTurboShake128(b"s" * 32, b"dst", b"binder").next(100)
    stream = XofTurboShake128(b"s" * 32, b"dst", b"binder")
    assert b"".join(stream.next(n) for n in (1, 31, 68)) == whole


@pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)
def test_the_xof_skips_what_is_not_below_p(field):
    class Stream(XofTurboShake128):
        def __init__(self):
            p, size = field.MODULUS, field.ENCODED_SIZE
            numbers = [1, p, 2, p + 1, 256**size - 1, p - 1, 3, 4]
            self.data = b"".join(x.to_bytes(size, "little") for x in numbers)

        def next(self, length):
            head, self.data = self.data[:length], self.data[length:]
            return head

    assert Stream().next_vec(field, 4) == [1, 2, field.MODULUS - 1, 3]


def test_the_xof_refuses_what_it_cannot_encode():
    with pytest.raises(ShapeError):
        XofTurboShake128(bytes(256), b"", b"")
    with pytest.raises(ShapeError):
        XofTurboShake128(bytes(32), bytes(65536), b"")
    assert repr(XofTurboShake128(bytes(32), b"", b"")) == "<XofTurboShake128>"
