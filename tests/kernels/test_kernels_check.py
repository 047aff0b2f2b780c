"""Known answers on the kernels: the official vectors, and our own for BlockCountVec."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from grievance.vdaf import check

OWN = Path(__file__).parent.parent / "vdaf" / "data"


def run(capsys, *arguments):
    code = check.main([str(argument) for argument in arguments])
    return code, json.loads(capsys.readouterr().out)


def test_official_vectors(shared, capsys):
    code, slow = run(capsys, shared / "vectors" / "vdaf", "--json")
    assert code == 0
    code, fast = run(capsys, shared / "vectors" / "vdaf", "--json", "--fast")
    assert code == 0
    assert fast["failed"] == 0
    assert fast["passed"] == slow["passed"] > 15


def test_our_own_vectors(capsys):
    code, fast = run(capsys, OWN, "--json", "--fast")
    assert (code, fast["failed"], fast["skipped"]) == (0, 0, 0)
    assert fast["passed"] == len(list(OWN.glob("*.json")))


def test_a_wrong_answer_is_seen(tmp_path, capsys):
    vector = json.loads((OWN / "Prio3BlockCountVec_0.json").read_bytes())
    share = vector["reports"][0]["verifier_shares"][0][0]
    vector["reports"][0]["verifier_shares"][0][0] = share[:-1] + ("0" if share[-1] != "0" else "1")
    (tmp_path / "Prio3BlockCountVec_0.json").write_text(json.dumps(vector), "utf-8")
    code, fast = run(capsys, tmp_path, "--json", "--fast")
    assert (code, fast["failed"]) == (1, 1)


def test_other_algorithms_are_skipped_by_name(tmp_path, capsys):
    (tmp_path / "Prio3HigherDegree_0.json").write_text('{"shares": 2, "operations": [1]}', "utf-8")
    _, fast = run(capsys, tmp_path, "--json", "--fast")
    assert fast["skipped"] == 1
    assert "kernels" in fast["files"][0]["detail"]


def test_the_reference_alone_does_not_load_numba():
    code = (
        "import sys; from grievance.vdaf import check; "
        f"check.main([{str(OWN)!r}]); print('numba' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "False"
