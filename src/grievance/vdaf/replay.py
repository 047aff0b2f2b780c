"""Replays one test vector: every operation it lists, byte for byte.

An operation marked successful must give the listed bytes, one marked otherwise must fail,
whether in decoding its inputs or later; everything that is decoded must encode to the same
bytes again.
Source: VDAF draft-20, appendix "Test Vectors".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from grievance.errors import GrievanceError, WireError
from grievance.secret import VerifyKey
from grievance.vdaf.field import FIELD64, FIELD128
from grievance.vdaf.vectors import BUILDERS, XOF, BadVector, Json
from grievance.vdaf.xof import XofTurboShake128

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.vdaf.messages import VerifyState
    from grievance.vdaf.prio3 import Prio3

    Got = list[tuple[str, object]]  # what came out of an operation, each with its name
    Step = tuple[Callable[[], Got], Callable[[], list[object]]]  # carry out; what is listed

T = TypeVar("T")


def _as_it_is(vdaf: Prio3[Any, Any]) -> Prio3[Any, Any]:
    return vdaf


def replay(
    algorithm: str, vector: Json, adapt: Callable[[Prio3[Any, Any]], Prio3[Any, Any]] = _as_it_is
) -> int:
    """Replay a vector; return the number of operations that went as listed.

    `adapt` puts another implementation of the same VDAF in the reference's place. Raises
    BadVector at the first operation that did not go as listed.
    """
    if algorithm == XOF:
        return _replay_xof(vector)
    try:
        vdaf = BUILDERS[algorithm](vector)
    except GrievanceError as error:
        raise BadVector(f"the parameters are refused: {error}") from error
    operations = vector.get("operations", list)
    if not operations:
        raise BadVector("there are no operations")
    run = _Replay(adapt(vdaf), vector)
    for number, operation in enumerate(operations):
        run.operation(Json(operation, f"operation {number}"))
    return len(operations)


def _replay_xof(vector: Json) -> int:
    seed, dst, binder = (vector.hex(key) for key in ("seed", "dst", "binder"))
    length = vector.size("length")
    results = {"derived_seed": XofTurboShake128.derive_seed(seed, dst, binder)}
    for field in (FIELD64, FIELD128):
        vec = XofTurboShake128.expand_into_vec(field, seed, dst, binder, length)
        results[f"expanded_vec_{field.name.lower()}"] = field.encode_vec(vec)
    listed = [key for key in results if key in vector.value]
    if not listed:
        raise BadVector("there is no output to compare")
    for key in listed:
        if results[key] != vector.hex(key):
            raise BadVector(f"{key} differs")
    return len(listed)


class _Replay:
    """The state of one replay: what aggregators keep between rounds, and who was refused."""

    def __init__(self, vdaf: Prio3[Any, Any], vector: Json) -> None:
        self.vdaf = vdaf
        self.vector = vector
        self.ctx = vector.hex("ctx")
        self.agg_param = vector.hex("agg_param")
        self.reports = [
            Json(report, f"report {i}") for i, report in enumerate(vector.get("reports", list))
        ]
        self.states: dict[tuple[int, int], VerifyState] = {}
        self.refused: set[int] = set()

    def operation(self, operation: Json) -> None:
        """Carry out one operation and compare. Raises BadVector."""
        kind = operation.get("operation", str)
        expects_success = operation.get("success", bool)
        steps = {
            "shard": self.shard,
            "verify_init": self.verify_init,
            "verifier_shares_to_message": self.verifier_shares_to_message,
            "verify_next": self.verify_next,
            "aggregate": self.aggregate,
            "unshard": self.unshard,
        }
        if kind not in steps:
            raise BadVector(f"{operation.where}: an unknown operation")
        where = f"{operation.where} ({kind})"
        run, expected = steps[kind](operation)
        try:
            got = run()
        except GrievanceError as error:
            if expects_success:
                raise BadVector(f"{where} failed: {error}") from error
            if "report_index" in operation.value:
                self.refused.add(operation.get("report_index", int))
            return
        if not expects_success:
            raise BadVector(f"{where} succeeded, but should fail")
        for (what, value), listed in zip(got, expected(), strict=True):
            if _comparable(value) != _comparable(listed):
                raise BadVector(f"{where}: {what} differs")

    # Each step reads its inputs and returns what to do and what should come out of it. Inputs
    # of a wrong length are the operation's business; inputs that are missing are the file's.

    def shard(self, operation: Json) -> Step:
        report, vdaf = self._report(operation), self.vdaf
        nonce, rand = report.hex("nonce"), report.hex("rand")
        measurement = report.value.get("measurement")

        def run() -> Got:
            public_share, input_shares = vdaf._shard_with_rand(self.ctx, measurement, nonce, rand)
            got: Got = [("the public share", vdaf.encode_public_share(public_share))]
            for agg_id, input_share in enumerate(input_shares):
                got.append((f"input share {agg_id}", vdaf.encode_input_share(input_share)))
            return got

        def expected() -> list[object]:
            shares = report.hexes("input_shares")
            if len(shares) != vdaf.SHARES:
                raise BadVector(f"{report.where}: not {vdaf.SHARES} input shares")
            return [report.hex("public_share"), *shares]

        return run, expected

    def verify_init(self, operation: Json) -> Step:
        report, vdaf = self._report(operation), self.vdaf
        agg_id = operation.get("aggregator_id", int)
        key, nonce = self.vector.hex("verify_key"), report.hex("nonce")
        public_share = report.hex("public_share")
        input_share = _item(report.hexes("input_shares"), agg_id, f"{report.where}: input share")

        def run() -> Got:
            self._check_agg_param()
            public = _again(vdaf.decode_public_share, vdaf.encode_public_share, public_share)
            share = _again(
                lambda data: vdaf.decode_input_share(agg_id, data),
                vdaf.encode_input_share,
                input_share,
            )
            state, verifier_share = vdaf.verify_init(
                VerifyKey(key), self.ctx, agg_id, nonce, public, share
            )
            self.states[operation.get("report_index", int), agg_id] = state
            return [("the verifier share", vdaf.encode_verifier_share(verifier_share))]

        return run, lambda: [
            _item(self._round_0(report), agg_id, f"{report.where}: verifier share")
        ]

    def verifier_shares_to_message(self, operation: Json) -> Step:
        report, vdaf = self._report(operation), self.vdaf
        _expect_round(operation, 0)
        encoded = self._round_0(report)

        def run() -> Got:
            self._check_agg_param()
            shares = [
                _again(vdaf.decode_verifier_share, vdaf.encode_verifier_share, data)
                for data in encoded
            ]
            message = vdaf.verifier_shares_to_message(self.ctx, shares)
            return [("the verifier message", vdaf.encode_verifier_message(message))]

        return run, lambda: [self._message(report)]

    def verify_next(self, operation: Json) -> Step:
        report, vdaf = self._report(operation), self.vdaf
        _expect_round(operation, 1)
        agg_id = operation.get("aggregator_id", int)
        state = self.states.get((operation.get("report_index", int), agg_id))
        if state is None:
            raise BadVector(f"{operation.where}: verify_next without verify_init")
        encoded = self._message(report)

        def run() -> Got:
            message = _again(vdaf.decode_verifier_message, vdaf.encode_verifier_message, encoded)
            out_share = vdaf.verify_next(self.ctx, state, message)
            return [("the output share", vdaf.encode_out_share(out_share))]

        return run, lambda: [
            _item(report.hexes("out_shares"), agg_id, f"{report.where}: output share")
        ]

    def aggregate(self, operation: Json) -> Step:
        vdaf = self.vdaf
        agg_id = operation.get("aggregator_id", int)
        encoded = [
            _item(report.hexes("out_shares"), agg_id, f"{report.where}: output share")
            for report in self._accepted()
        ]

        def run() -> Got:
            self._check_agg_param()
            agg_share = vdaf.agg_init()
            for data in encoded:
                out_share = _again(vdaf.decode_out_share, vdaf.encode_out_share, data)
                agg_share = vdaf.agg_update(agg_share, out_share)
            return [("the aggregate share", vdaf.encode_agg_share(agg_share))]

        return run, lambda: [_item(self.vector.hexes("agg_shares"), agg_id, "aggregate share")]

    def unshard(self, operation: Json) -> Step:  # noqa: ARG002
        vdaf = self.vdaf
        encoded = self.vector.hexes("agg_shares")

        def run() -> Got:
            self._check_agg_param()
            shares = [
                _again(vdaf.decode_agg_share, vdaf.encode_agg_share, data) for data in encoded
            ]
            return [("the result", vdaf.unshard(shares, len(self._accepted())))]

        return run, lambda: [self.vector.value.get("agg_result")]

    def _report(self, operation: Json) -> Json:
        return self.reports[operation.index("report_index", len(self.reports))]

    def _accepted(self) -> list[Json]:
        return [report for i, report in enumerate(self.reports) if i not in self.refused]

    def _check_agg_param(self) -> None:
        if self.agg_param:
            raise WireError("Prio3 has no aggregation parameter")

    @staticmethod
    def _round_0(report: Json) -> list[bytes]:
        rounds = report.get("verifier_shares", list)
        return Json(
            {"0": _item(rounds, 0, f"{report.where}: verifier shares")}, report.where
        ).hexes("0")

    @staticmethod
    def _message(report: Json) -> bytes:
        messages = report.hexes("verifier_messages")
        return _item(messages, 0, f"{report.where}: verifier message")


def _item(items: Sequence[T], index: int, what: str) -> T:
    if not 0 <= index < len(items):
        raise BadVector(f"{what} {index} is not listed")
    return items[index]


def _expect_round(operation: Json, number: int) -> None:
    if operation.value.get("round", number) != number:
        raise BadVector(f"{operation.where}: Prio3 has one round")


def _again(decode: Callable[[bytes], T], encode: Callable[[T], bytes], data: bytes) -> T:
    """Decode, and see that encoding gives the same bytes."""
    value = decode(data)
    if encode(value) != data:
        raise BadVector("a message decodes, but encodes to other bytes")
    return value


def _comparable(value: object) -> object:
    """Make 1, 1.0 and true three different results."""
    return value if isinstance(value, bytes) else json.dumps(value)
