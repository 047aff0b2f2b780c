"""The fully linear proof: a prover shows that a shared measurement is valid.

For every gadget the prover takes the values on each input wire, a random mask before them,
as the values of a polynomial at the roots of unity; the gadget applied to those polynomials
is the gadget polynomial. A proof is the masks and the gadget polynomials, all in the Lagrange
basis. Verifiers read the gadget's outputs off the gadget polynomial, and test at one random
point t that it is the gadget of the wire polynomials. All they do is linear, so each works
on its own shares.
Source: VDAF draft-20, 7.3 "FLP Specification"; BBCGGI19 (eprint 2019/188), 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from grievance.errors import ProofError, ShapeError, TestPointError
from grievance.vdaf.circuits import AggResult, Measurement, Valid
from grievance.vdaf.gadgets import Gadget, gadget_poly_len, wire_poly_len
from grievance.vdaf.polynomial import extend, lagrange_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf.field import Field, Vec


class ProveGadget:
    """Stands for a gadget while the prover evaluates the circuit: computes it and records wires."""

    def __init__(self, field: Field, gadget: Gadget, masks: Sequence[int]) -> None:
        self.field = field
        self.gadget = gadget
        self.calls: list[Sequence[int]] = [masks]

    def __call__(self, inputs: Sequence[int]) -> int:
        """Compute the gadget."""
        self.calls.append(inputs)
        return self.gadget.eval(self.field, inputs)


class QueryGadget:
    """Stands for a gadget while a verifier evaluates the circuit: outputs come from the proof."""

    def __init__(
        self,
        field: Field,
        gadget: Gadget,
        num_calls: int,
        masks: Sequence[int],
        poly: Sequence[int],
    ) -> None:
        # With n values of the gadget polynomial and P of the wires, call k is at index k * n / P.
        self.poly = extend(field, poly)
        self.step = len(self.poly) // wire_poly_len(num_calls)
        self.gadget = gadget
        self.calls: list[Sequence[int]] = [masks]

    def __call__(self, inputs: Sequence[int]) -> int:
        """Look the output up."""
        output = self.poly[len(self.calls) * self.step]
        self.calls.append(inputs)
        return output


class Flp(Generic[Measurement, AggResult]):
    """The proof system for one circuit. Vectors have the lengths named here, or ShapeError."""

    def __init__(self, circuit: Valid[Measurement, AggResult]) -> None:
        self.circuit = circuit
        self.field = circuit.field
        gadgets = list(zip(circuit.GADGETS, circuit.GADGET_CALLS, strict=True))
        self.MEAS_LEN = circuit.MEAS_LEN
        self.OUTPUT_LEN = circuit.OUTPUT_LEN
        self.JOINT_RAND_LEN = circuit.JOINT_RAND_LEN
        self.PROVE_RAND_LEN = sum(gadget.ARITY for gadget, _ in gadgets)
        self.QUERY_RAND_LEN = len(gadgets)
        if circuit.EVAL_OUTPUT_LEN > 1:
            self.QUERY_RAND_LEN += circuit.EVAL_OUTPUT_LEN
        self.VERIFIER_LEN = 1 + sum(gadget.ARITY + 1 for gadget, _ in gadgets)
        self.PROOF_LEN = sum(
            gadget.ARITY + gadget_poly_len(gadget.DEGREE, wire_poly_len(num_calls))
            for gadget, num_calls in gadgets
        )

    def prove(
        self, meas: Sequence[int], prove_rand: Sequence[int], joint_rand: Sequence[int]
    ) -> Vec:
        """Compute a proof. Run by the client, once per proof; the measurement need not be valid.

        (MEAS_LEN,), (PROVE_RAND_LEN,), (JOINT_RAND_LEN,) -> (PROOF_LEN,).
        Source: draft-20, 7.3.3 "Generating the Proof".
        """
        _expect(meas, self.MEAS_LEN, "measurement")
        _expect(prove_rand, self.PROVE_RAND_LEN, "prover randomness")
        _expect(joint_rand, self.JOINT_RAND_LEN, "joint randomness")
        shims, rest = [], list(prove_rand)
        for gadget in self.circuit.GADGETS:
            masks, rest = rest[: gadget.ARITY], rest[gadget.ARITY :]
            shims.append(ProveGadget(self.field, gadget, masks))
        self.circuit.eval(meas, joint_rand, 1, shims)
        proof: Vec = []
        for shim, num_calls in zip(shims, self.circuit.GADGET_CALLS, strict=True):
            wire_len = wire_poly_len(num_calls)
            padding = [0] * (wire_len - len(shim.calls))
            wires = [[*wire, *padding] for wire in zip(*shim.calls, strict=True)]
            poly = shim.gadget.eval_poly(self.field, wires)
            proof += shim.calls[0]
            proof += poly[: gadget_poly_len(shim.gadget.DEGREE, wire_len)]
        return proof

    def query(
        self,
        meas: Sequence[int],
        proof: Sequence[int],
        query_rand: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
    ) -> Vec:
        """Compute one verifier share. Run by each aggregator, once per proof.

        (MEAS_LEN,), (PROOF_LEN,), (QUERY_RAND_LEN,), (JOINT_RAND_LEN,) -> (VERIFIER_LEN,).
        Raises TestPointError when the test point is one of the wire polynomials' points, which
        hangs on `query_rand` alone and so happens to every aggregator alike.
        Source: draft-20, 7.3.4 "Querying the Proof".
        """
        _expect(meas, self.MEAS_LEN, "measurement share")
        _expect(proof, self.PROOF_LEN, "proof share")
        _expect(query_rand, self.QUERY_RAND_LEN, "query randomness")
        _expect(joint_rand, self.JOINT_RAND_LEN, "joint randomness")
        field, circuit = self.field, self.circuit
        shims = self.query_gadgets(proof)
        outputs = circuit.eval(meas, joint_rand, num_shares, shims)
        if circuit.EVAL_OUTPUT_LEN > 1:
            reduced = field.inner(query_rand[: circuit.EVAL_OUTPUT_LEN], outputs)
            test_points = query_rand[circuit.EVAL_OUTPUT_LEN :]
        else:
            (reduced,), test_points = outputs, query_rand
        verifier = [reduced]
        for shim, num_calls, t in zip(shims, circuit.GADGET_CALLS, test_points, strict=True):
            wire_len = wire_poly_len(num_calls)
            if pow(t, wire_len, field.MODULUS) == 1:
                raise TestPointError("the test point is a root of unity: this report is refused")
            # All wires have the same nodes, so one set of weights serves them all. A wire's
            # unused last values are zero and left out.
            weights = lagrange_at(field, wire_len, t)
            verifier += [field.inner(weights, wire) for wire in zip(*shim.calls, strict=True)]
            verifier.append(field.inner(lagrange_at(field, len(shim.poly), t), shim.poly))
        return verifier

    def query_gadgets(self, proof: Sequence[int]) -> list[QueryGadget]:
        """Take a proof (share) apart into one stand-in for each gadget."""
        shims, at = [], 0
        for gadget, num_calls in zip(self.circuit.GADGETS, self.circuit.GADGET_CALLS, strict=True):
            middle = at + gadget.ARITY
            end = middle + gadget_poly_len(gadget.DEGREE, wire_poly_len(num_calls))
            masks, poly = proof[at:middle], proof[middle:end]
            shims.append(QueryGadget(self.field, gadget, num_calls, masks, poly))
            at = end
        return shims

    def decide(self, verifier: Sequence[int]) -> None:
        """Accept the sum of all verifier shares, or raise ProofError.

        Run by whoever combines the shares; (VERIFIER_LEN,).
        Source: draft-20, 7.3.5 "Deciding Validity".
        """
        _expect(verifier, self.VERIFIER_LEN, "verifier")
        if verifier[0] != 0:
            raise ProofError("the proof does not hold: the circuit's output is not zero")
        at = 1
        for gadget in self.circuit.GADGETS:
            wires, poly_at_t = verifier[at : at + gadget.ARITY], verifier[at + gadget.ARITY]
            if gadget.eval(self.field, wires) != poly_at_t:
                raise ProofError("the proof does not hold: a gadget polynomial is wrong")
            at += gadget.ARITY + 1


def _expect(vec: Sequence[int], length: int, what: str) -> None:
    if len(vec) != length:
        raise ShapeError(f"the {what} has {len(vec)} elements, expected {length}")
