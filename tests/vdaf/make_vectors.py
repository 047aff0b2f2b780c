"""Write the BlockCountVec vectors in data/: `python tests/vdaf/make_vectors.py`.

The schema is the one of VDAF draft-20, appendix "Test Vectors", with the parameter `blocks`: a
list of {length, max_weight, parents}. All randomness is derived from the names below, so
running this again changes nothing; a test sees to that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from grievance.errors import GrievanceError
from grievance.secret import VerifyKey
from grievance.vdaf import FIELD128, Block, Prio3BlockCountVec

DATA = Path(__file__).parent / "data"
CTX = b"some application"

ONE_BLOCK = [Block(4, 2)]
ANSWERED_AND_CELLS = [Block(2, 1), Block(4, 2, (0, 0, 1, 1))]
ANSWERED_AND_VALUES = [Block(3, 1), Block(6, None, (0, 1, 2, 0, 1, 2)), Block(4, 1)]


def drawn(label: str, size: int) -> bytes:
    """Return bytes that only the label determines."""
    return hashlib.shake_128(b"BlockCountVec vectors: " + label.encode()).digest(size)


class Run:
    """One vector in the making."""

    def __init__(self, name: str, shares: int, blocks: list[Block], chunk_length: int) -> None:
        self.name = name
        self.vdaf = Prio3BlockCountVec(shares, blocks, chunk_length)
        self.verify_key = VerifyKey(drawn(f"{name} key", 32))
        self.operations: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.out_shares: list[list[list[int]]] = []
        self.rest: dict[str, Any] = {"agg_shares": [], "agg_result": None}
        self.parameters = {
            "shares": shares,
            "blocks": [asdict(block) for block in blocks],
            "chunk_length": chunk_length,
        }

    def did(self, operation: str, success: bool = True, **numbers: int) -> None:
        self.operations.append({"operation": operation, **numbers, "success": success})

    def randomness(self) -> tuple[bytes, bytes]:
        label = f"{self.name} report {len(self.reports)}"
        return drawn(f"{label} nonce", 16), drawn(f"{label} rand", self.vdaf.RAND_SIZE)

    def honest(self, measurement: list[int]) -> None:
        """Shard a measurement and verify it, all the way to the output shares."""
        nonce, rand = self.randomness()
        report = self.vdaf._shard_with_rand(CTX, measurement, nonce, rand)
        self.did("shard", report_index=len(self.reports))
        self.verify(measurement, nonce, rand, *report)

    def invalid(self, meas: list[int]) -> None:
        """Shard an encoded vector that no honest client sends. It must be refused."""
        nonce, rand = self.randomness()
        self.verify(None, nonce, rand, *self.vdaf._shard_encoded(CTX, meas, nonce, rand))

    def verify(
        self,
        measurement: list[int] | None,
        nonce: bytes,
        rand: bytes,
        public_share: Any,
        input_shares: list[Any],
        message: bytes | None = None,
    ) -> None:
        """Verify a report and list what happened, up to the first failure.

        `message` replaces the true verifier message.
        """
        vdaf, index = self.vdaf, len(self.reports)
        report = {
            "measurement": measurement,
            "nonce": nonce.hex(),
            "rand": rand.hex(),
            "public_share": vdaf.encode_public_share(public_share).hex(),
            "input_shares": [vdaf.encode_input_share(share).hex() for share in input_shares],
            "verifier_shares": [[]],
            "verifier_messages": [],
            "out_shares": [],
        }
        self.reports.append(report)
        states, verifier_shares = [], []
        for agg_id, share in enumerate(input_shares):
            state, verifier_share = vdaf.verify_init(
                self.verify_key, CTX, agg_id, nonce, public_share, share
            )
            states.append(state)
            verifier_shares.append(verifier_share)
            report["verifier_shares"][0].append(vdaf.encode_verifier_share(verifier_share).hex())
            self.did("verify_init", aggregator_id=agg_id, report_index=index)
        if message is None:
            try:
                message = vdaf.verifier_shares_to_message(CTX, verifier_shares)
            except GrievanceError:
                self.did("verifier_shares_to_message", False, round=0, report_index=index)
                return
            self.did("verifier_shares_to_message", round=0, report_index=index)
        report["verifier_messages"].append(message.hex())
        outs = []
        for agg_id, state in enumerate(states):
            step = {"round": 1, "aggregator_id": agg_id, "report_index": index}
            try:
                out_share = vdaf.verify_next(CTX, state, message)
            except GrievanceError:
                self.did("verify_next", False, **step)
                continue
            self.did("verify_next", **step)
            report["out_shares"].append(vdaf.encode_out_share(out_share).hex())
            outs.append(out_share)
        self.out_shares.append(outs)

    def aggregate(self) -> None:
        """Add all reports up and unshard."""
        vdaf, agg_shares = self.vdaf, []
        for agg_id in range(vdaf.SHARES):
            agg_shares.append(vdaf.merge([outs[agg_id] for outs in self.out_shares]))
            self.did("aggregate", aggregator_id=agg_id)
        self.did("unshard")
        self.rest = {
            "agg_shares": [vdaf.encode_agg_share(share).hex() for share in agg_shares],
            "agg_result": vdaf.unshard(agg_shares, len(self.reports)),
        }

    def vector(self) -> dict[str, Any]:
        return {
            **self.parameters,
            "ctx": CTX.hex(),
            "verify_key": self.verify_key.reveal().hex(),
            "agg_param": "",
            "operations": self.operations,
            "reports": self.reports,
            **self.rest,
        }


def good(
    name: str, shares: int, blocks: list[Block], chunk_length: int, measurements: list[list[int]]
) -> Run:
    run = Run(name, shares, blocks, chunk_length)
    for measurement in measurements:
        run.honest(measurement)
    run.aggregate()
    return run


def bad_measurements() -> list[Run]:
    """Vectors that are shared and proved by the rules, but are not valid."""
    p = FIELD128.MODULUS
    # Two groups that answered (at most one), four cells (at most two), then the weights of
    # both blocks, of one and of two elements.
    cases = {
        "bad_bit_two": [2, 0, 0, 0, 0, 0, 2, 0, 0],
        "bad_bit_negative": [p - 1, 1, 0, 0, 0, 0, 0, 0, 0],
        "bad_child_without_parent": [0, 0, 1, 0, 0, 0, 0, 1, 0],
        "bad_child_of_other_parent": [1, 0, 0, 0, 1, 0, 1, 1, 0],
        "bad_cancelling_errors": [1, 0, 2, p - 1, 0, 0, 1, 1, 0],
        "bad_too_many_ones": [1, 1, 0, 0, 0, 0, 1, 0, 0],
        "bad_weight_low": [1, 0, 1, 1, 0, 0, 1, 1, 0],
        "bad_weight_high": [1, 0, 0, 0, 0, 0, 1, 1, 0],
        "bad_weight_digit": [1, 0, 1, 1, 0, 0, 1, 2, 0],
    }
    runs = []
    for name, meas in cases.items():
        run = Run(name, 2, ANSWERED_AND_CELLS, 3)
        run.invalid(meas)
        runs.append(run)
    return runs


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def bad_messages() -> list[Run]:
    """Honest reports of which one part was changed."""
    runs = []
    for name in (
        "bad_meas_share",
        "bad_wire_seed",
        "bad_gadget_poly",
        "bad_helper_seed",
        "bad_leader_blind",
        "bad_helper_blind",
        "bad_public_share",
        "bad_verifier_message",
    ):
        run = Run(name, 2, ANSWERED_AND_CELLS, 3)
        p = run.vdaf.field.MODULUS
        nonce, rand = run.randomness()
        public, (leader, helper) = run.vdaf._shard_with_rand(CTX, [1, 0, 0, 1, 0, 0], nonce, rand)
        meas, proofs, message = list(leader.meas_share), list(leader.proofs_share), None
        match name:
            case "bad_meas_share":
                meas[0] = (meas[0] + 1) % p
            case "bad_wire_seed":
                proofs[0] = (proofs[0] + 1) % p
            case "bad_gadget_poly":
                proofs[-1] = (proofs[-1] + 1) % p
            case "bad_helper_seed":
                helper = replace(helper, seed=flipped(helper.seed))
            case "bad_leader_blind":
                leader = replace(leader, blind=flipped(leader.blind))
            case "bad_helper_blind":
                helper = replace(helper, blind=flipped(helper.blind))
            case "bad_public_share":
                public = [flipped(public[0]), public[1]]
            case "bad_verifier_message":
                message = bytes(32)
        leader = replace(leader, meas_share=meas, proofs_share=proofs)
        run.verify(None, nonce, rand, public, [leader, helper], message)
        runs.append(run)
    return runs


def bad_encodings() -> list[Run]:
    """Input shares that do not decode: verify_init must fail."""
    runs = []
    for name in ("bad_leader_short", "bad_leader_long", "bad_leader_modulus", "bad_helper_long"):
        run = Run(name, 2, ANSWERED_AND_CELLS, 3)
        nonce, rand = run.randomness()
        report = run.vdaf._shard_with_rand(CTX, [0, 1, 0, 0, 0, 0], nonce, rand)
        run.verify(None, nonce, rand, *report)
        (listed,) = run.reports
        agg_id = int(name.startswith("bad_helper"))
        share = bytes.fromhex(listed["input_shares"][agg_id])
        modulus = run.vdaf.field.MODULUS.to_bytes(16, "little")
        listed["input_shares"][agg_id] = {
            "bad_leader_short": share[:-1],
            "bad_leader_long": share + bytes(16),
            "bad_leader_modulus": modulus + share[16:],
            "bad_helper_long": share + b"\0",
        }[name].hex()
        listed.update(verifier_shares=[[]], verifier_messages=[], out_shares=[])
        run.operations = []
        run.did("verify_init", False, aggregator_id=agg_id, report_index=0)
        runs.append(run)
    return runs


def all_runs() -> list[Run]:
    values = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    more_values = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]
    return [
        good("0", 2, ONE_BLOCK, 2, [[0, 1, 1, 0]]),
        good("1", 2, ANSWERED_AND_CELLS, 3, [[1, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 1], [0] * 6]),
        good("2", 3, ANSWERED_AND_VALUES, 4, [values, more_values, [0] * 13]),
        good("3", 5, ANSWERED_AND_VALUES, 100, [more_values]),
        *bad_measurements(),
        *bad_messages(),
        *bad_encodings(),
    ]


def files() -> dict[str, str]:
    """Return the text of every file, by name."""
    return {
        f"Prio3BlockCountVec_{run.name}.json": json.dumps(run.vector(), indent=1) + "\n"
        for run in all_runs()
    }


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for file_name, text in files().items():
        (DATA / file_name).write_text(text, encoding="ascii")
    print(f"{len(files())} files in {DATA}")
