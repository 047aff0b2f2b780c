"""Gadgets: the parts of a validity circuit that multiply.

A gadget is evaluated on field elements by the circuit, and on polynomials by the prover.
Inputs need not be reduced mod p; results always are.
Source: VDAF draft-20, appendix "FLP Gadgets".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from grievance.errors import VdafError
from grievance.vdaf.field import Vec, next_power_of_2
from grievance.vdaf.polynomial import double_evaluations, eval_monomial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf.field import Field


def wire_poly_len(num_calls: int) -> int:
    """Return P, the number of values of a wire polynomial: one mask, the calls, zeros."""
    return next_power_of_2(1 + num_calls)


def gadget_poly_len(degree: int, wire_len: int) -> int:
    """Return the number of values of a gadget polynomial that a proof carries."""
    return degree * (wire_len - 1) + 1


class Gadget(ABC):
    """A non-affine sub-circuit with ARITY input wires and one output, of degree DEGREE."""

    ARITY: int
    DEGREE: int

    @abstractmethod
    def eval(self, field: Field, inputs: Sequence[int]) -> int:
        """Evaluate on ARITY elements."""

    @abstractmethod
    def eval_poly(self, field: Field, wires: Sequence[Sequence[int]]) -> Vec:
        """Evaluate on ARITY polynomials of P values each.

        Returns the values at the n-th roots, n the power of two that fits
        gadget_poly_len(DEGREE, P).
        """


class Mul(Gadget):
    """The product of two wires."""

    ARITY = 2
    DEGREE = 2

    def eval(self, field: Field, inputs: Sequence[int]) -> int:
        """Return the product."""
        return inputs[0] * inputs[1] % field.MODULUS

    def eval_poly(self, field: Field, wires: Sequence[Sequence[int]]) -> Vec:
        """Return the product's 2P values."""
        left, right = (double_evaluations(field, wire) for wire in wires)
        p = field.MODULUS
        return [x * y % p for x, y in zip(left, right, strict=True)]


class PolyEval(Gadget):
    """A fixed polynomial in one wire; `coefficients` are integers, lowest degree first."""

    ARITY = 1

    def __init__(self, coefficients: Sequence[int]) -> None:
        if len(coefficients) < 2 or coefficients[-1] == 0:
            raise VdafError(
                "PolyEval takes a polynomial of degree 1 or more", code="vdaf.parameters"
            )
        self.coefficients = tuple(coefficients)
        self.DEGREE = len(coefficients) - 1

    def eval(self, field: Field, inputs: Sequence[int]) -> int:
        """Return the polynomial's value."""
        return eval_monomial(field, self.coefficients, inputs[0])

    def eval_poly(self, field: Field, wires: Sequence[Sequence[int]]) -> Vec:
        """Return the values of the composition."""
        (wire,) = wires
        n = next_power_of_2(gadget_poly_len(self.DEGREE, len(wire)))
        values = field.ntt(field.inv_ntt(wire), n)
        return [eval_monomial(field, self.coefficients, x) for x in values]


class ParallelSum(Gadget):
    """The sum of `count` copies of a gadget, each with wires of its own."""

    def __init__(self, subcircuit: Gadget, count: int) -> None:
        self.subcircuit = subcircuit
        self.count = count
        self.ARITY = subcircuit.ARITY * count
        self.DEGREE = subcircuit.DEGREE

    def eval(self, field: Field, inputs: Sequence[int]) -> int:
        """Return the sum of the copies' outputs."""
        step = self.subcircuit.ARITY
        return (
            sum(
                self.subcircuit.eval(field, inputs[i : i + step])
                for i in range(0, self.ARITY, step)
            )
            % field.MODULUS
        )

    def eval_poly(self, field: Field, wires: Sequence[Sequence[int]]) -> Vec:
        """Return the values of the sum of the copies' polynomials."""
        step, p = self.subcircuit.ARITY, field.MODULUS
        parts = [
            self.subcircuit.eval_poly(field, wires[i : i + step])
            for i in range(0, self.ARITY, step)
        ]
        return [sum(column) % p for column in zip(*parts, strict=True)]
