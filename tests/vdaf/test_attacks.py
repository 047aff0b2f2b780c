"""The attacks work against Prio3 without its rules of use. Guards are tested where they live."""

from __future__ import annotations

import secrets

import pytest
from attacks import (
    Coalition,
    attack_a_known_key,
    attack_b_nonce_reuse,
    attack_c_two_keys,
    attack_d_two_public_shares,
    attack_e_refused_first,
    forge,
    small_vdaf,
)

from grievance.errors import ProofError, StateError
from grievance.vdaf import Block, Prio3BlockCountVec

ATTACKS = [
    attack_a_known_key,
    attack_b_nonce_reuse,
    attack_c_two_keys,
    attack_d_two_public_shares,
    attack_e_refused_first,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_works_against_bare_prio3(attack):
    assert all(attack(Coalition()) for _ in range(5))


@pytest.mark.parametrize(
    "attack", [attack_a_known_key, attack_b_nonce_reuse, attack_e_refused_first]
)
def test_forgeries_work_at_another_size_too(attack):
    vdaf = Prio3BlockCountVec(2, [Block(40, 1), Block(7, 7)], chunk_length=3)
    assert attack(Coalition(vdaf))


def test_a_forgery_needs_the_test_point():
    coalition = Coalition()
    for _ in range(20):
        nonce = secrets.token_bytes(16)
        report = forge(coalition, nonce, secrets.randbelow(coalition.vdaf.field.MODULUS))
        shares = coalition.verify_all(nonce, *report)
        with pytest.raises(ProofError):
            coalition.finish(nonce, shares)


class OnceOnly(Coalition):
    """The simplest guard: a nonce is verified once by each aggregator, whatever became of it."""

    def verify_init(self, agg_id, nonce, public_share, input_share):
        if (agg_id, nonce) in self.states:
            raise StateError("this nonce was verified before", code="report.burnt")
        return super().verify_init(agg_id, nonce, public_share, input_share)


@pytest.mark.parametrize("attack", ATTACKS[1:])
def test_verifying_a_nonce_once_stops_it(attack):
    assert not attack(OnceOnly(small_vdaf()))


def test_no_memory_of_nonces_helps_once_the_key_is_known():
    assert attack_a_known_key(OnceOnly(small_vdaf()))
