"""The five attacks on Prio3, against real aggregators: pool, batches, state and all.

Each runs twice. With the guards in place it fails, and the test says at which guard. With a
test double in the guard's place it succeeds, which shows that the test would notice if the
guard were gone. Source: docs/threats.md, section 2.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, at_bench, new_seed, publish
from federation import Federation, drawn_from
from grievance.aggregator import Office
from grievance.aggregator.burns import BurnIndex
from grievance.aggregator.decisions import read_decision
from grievance.client import Report, input_share, seal
from grievance.client.commitment import nonce_of
from grievance.client.input_share import input_share_info
from grievance.client.report import columns
from grievance.crypto import keys
from grievance.crypto.documents import b64encode, sign_document
from grievance.errors import GrievanceError, ProofError, ReportError
from grievance.pool.decisions import Status, open_verify_file, verify_size
from grievance.secret import VerifyKey
from grievance.task import verify_key as verify_keys
from vdaf import attacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.client.seal import Drawn
    from grievance.pool.order import OrderedBatch
    from grievance.vdaf import InputShare, PublicShare, VerifierShare


class PoolCoalition(attacks.Coalition):
    """What an attacker can make two real aggregators do, and everything it might see of it.

    `verify_key` is the key the attacker holds: a wrong one, unless it was leaked.
    """

    def __init__(self, federation: Federation) -> None:
        self.federation, self.task = federation, federation.task
        super().__init__(self.task.vdaf, self.task.ctx)
        self.drawn: dict[bytes, Drawn] = {}
        self.ciphertexts: dict[tuple[bytes, bytes], bytes] = {}
        self.seen: list[list[bytes]] = []  # verifier shares, encoded
        self.refusals: list[str] = []
        self.heeds_decisions = True

    def token_bytes(self, size: int) -> bytes:
        """Randomness as an attack draws it; a nonce comes with the salts it belongs to."""
        if size != self.vdaf.NONCE_SIZE:
            return secrets.token_bytes(size)
        drawn = drawn_from(self.task, new_seed())
        self.drawn[nonce_of(drawn.commitment)] = drawn
        return nonce_of(drawn.commitment)

    def randbelow(self, bound: int) -> int:
        return secrets.randbelow(bound)

    def verify_all(
        self, nonce: bytes, public_share: PublicShare, input_shares: Sequence[InputShare]
    ) -> list[VerifierShare]:
        return self._submit(nonce, public_share, dict(enumerate(input_shares)))

    def verify_init(
        self, agg_id: int, nonce: bytes, public_share: PublicShare, input_share: InputShare
    ) -> VerifierShare:
        (share,) = self._submit(nonce, public_share, {agg_id: input_share})
        return share

    def finish(self, nonce: bytes, verifier_shares: Sequence[VerifierShare]) -> list[list[int]]:
        self.federation.settle()
        batch = self._last_batch()
        decision = at_bench(self.federation, "north", lambda bench: read_decision(bench, batch, 0))
        assert decision is not None
        if 0 in decision.refused and self.heeds_decisions:
            code = decision.refused[0][0].code
            self.refusals.append(code)
            raise ProofError("refused") if code == "report.proof" else ReportError("refused")
        return [
            at_bench(
                self.federation,
                name,
                lambda b: b.open_sum(batch.seq, b.state.batches(self.task.digest)[batch.seq].sum),
            )
            for name in self.federation.aggregators
        ]

    def _last_batch(self) -> OrderedBatch:
        return self.federation.chain().batches[-1]

    def _submit(
        self, nonce: bytes, public_share: PublicShare, input_shares: dict[int, InputShare]
    ) -> list[VerifierShare]:
        """Relay one report, let the aggregators verify it, and look into their verify files.

        What was sealed once is not sealed again: an attacker has an honest report's
        ciphertexts, not its salts. A blank report makes batches of the same report differ.
        """
        public, drawn = self.vdaf.encode_public_share(public_share), self.drawn[nonce]
        widths = [width for _, width in columns(self.task)[2:]]
        parts = [secrets.token_bytes(width) for width in widths]
        for index, share in input_shares.items():
            encoded = self.vdaf.encode_input_share(share)
            info = input_share_info(self.task.digest, index, drawn.commitment, public)
            parts[index] = self.ciphertexts.setdefault(
                (nonce, encoded),
                self.task.aggregators[index].hpke.seal(drawn.openings[index] + encoded, info),
            )
        row = Report(self.task.digest, drawn.commitment, public, tuple(parts))
        publish(self.federation, "nurses", [row, seal(self.task, {})])
        self.federation.sync("north", "south")
        found = [self._look(self._last_batch(), index) for index in input_shares]
        self.seen.append([encoded for _, encoded in found])
        refused = [status.code for status, _ in found if status != Status.OK]
        if refused:
            self.refusals += refused
            raise ReportError("refused before it was verified", code=refused[0])
        return [self.vdaf.decode_verifier_share(encoded) for _, encoded in found]

    def _look(self, batch: OrderedBatch, sender: int) -> tuple[Status, bytes]:
        """Open what an aggregator sealed to its peer. Attackers who are no peer cannot."""
        name, peer = (self.federation.aggregators[i] for i in (sender, 1 - sender))
        store = self.federation.leader.store
        limit = verify_size(self.task, batch.rows)
        data = store.view(self.federation.paths.verify(batch.seq, name), limit)
        assert data is not None
        key = at_bench(self.federation, peer, lambda bench: bench.seat.hpke)
        found = open_verify_file(data, self.task, batch, sender, 1 - sender, key)
        return Status(found.statuses[0]), found.share(0, self.vdaf.VERIFIER_SHARE_SIZE)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    made = Federation.opened(tmp_path_factory.mktemp("attacks"), TINY_PLAN)
    task = made.task
    assert task.layout.blocks == attacks.small_vdaf().circuit.blocks
    return made


@pytest.fixture
def coalition(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> PoolCoalition:
    made = PoolCoalition(federation)
    monkeypatch.setattr(attacks, "secrets", made)
    return made


# -- test doubles: a guard that guards nothing ---------------------------------------------


@pytest.fixture
def no_burns(monkeypatch: pytest.MonkeyPatch) -> None:
    burn = BurnIndex.burn

    def careless(self: BurnIndex, commitments: list[bytes], inputs: list[bytes]) -> list[bool]:
        burn(self, commitments, inputs)
        return [True] * len(commitments)

    monkeypatch.setattr(BurnIndex, "burn", careless)


@pytest.fixture
def accepts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BurnIndex, "accept", lambda _, commitments: [True] * len(commitments))


@pytest.fixture
def loose_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    info = input_share._info
    monkeypatch.setattr(input_share, "_info", lambda head, name, _: info(head, name, b""))


# -- A: a client that knows the verify key --------------------------------------------------


def test_a_a_client_does_not_know_the_verify_key(coalition: PoolCoalition) -> None:
    assert not attacks.attack_a_known_key(coalition)
    assert coalition.refusals == ["report.proof"]


def test_a_with_a_leaked_verify_key(coalition: PoolCoalition) -> None:
    home = coalition.federation.leader
    coalition.verify_key = keys.read_verify_key(home.round_files(coalition.task.round_id).verify)
    assert attacks.attack_a_known_key(coalition)


def test_a_the_verify_key_is_nowhere_in_the_pool(federation: Federation) -> None:
    key = keys.read_verify_key(federation.leader.round_files(federation.round_id).verify).reveal()
    for path in federation.file(".").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert key not in data
            assert b64encode(key).encode() not in data
            assert key.hex().encode() not in data


# -- B and E: a nonce that was verified, accepted or refused --------------------------------


def test_b_an_accepted_nonce_is_not_verified_again(coalition: PoolCoalition) -> None:
    assert not attacks.attack_b_nonce_reuse(coalition)
    assert coalition.refusals == ["report.burnt", "report.burnt"]
    assert not any(b"".join(coalition.seen[-1]))  # no verifier share was made


@pytest.mark.usefixtures("no_burns")
def test_b_without_burns_a_nonce_still_counts_once(coalition: PoolCoalition) -> None:
    assert not attacks.attack_b_nonce_reuse(coalition)
    assert coalition.refusals == ["report.replay"]


@pytest.mark.usefixtures("no_burns", "accepts_again")
def test_b_without_burns_and_without_memory_of_what_counted(coalition: PoolCoalition) -> None:
    assert attacks.attack_b_nonce_reuse(coalition)


def test_e_a_refused_nonce_is_not_verified_again(coalition: PoolCoalition) -> None:
    assert not attacks.attack_e_refused_first(coalition)
    assert coalition.refusals == ["report.proof", "report.burnt", "report.burnt"]
    assert not any(b"".join(coalition.seen[-1]))


@pytest.mark.usefixtures("no_burns")
def test_e_without_burns(coalition: PoolCoalition) -> None:
    assert attacks.attack_e_refused_first(coalition)


# -- C: a second verify key -----------------------------------------------------------------


class TwoFacedLeader(PoolCoalition):
    """The leader seals another verify key to the helper, under its own good signature."""

    def change_key(self, verify_key: VerifyKey) -> None:
        super().change_key(verify_key)
        sealed = {
            entry.name: b64encode(
                entry.hpke.seal(verify_key.reveal(), verify_keys._info(self.task, index))
            )
            for index, entry in enumerate(self.task.aggregators)
        }
        body = {"sealed": sealed, "task": self.task.digest.hex()}
        data = sign_document(verify_keys.KIND, body, self.federation.leader.key)
        path = self.federation.paths.verify_key
        self.federation.file(path).write_bytes(data)
        hpke = at_bench(self.federation, "south", lambda bench: bench.seat.hpke)
        with pytest.raises(GrievanceError) as refused:
            verify_keys.open_verify_key(data, self.task, "south", hpke)
        assert refused.value.code == "task.commitment"


@pytest.fixture
def two_faced(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> PoolCoalition:
    made = TwoFacedLeader(federation)
    made.heeds_decisions = False  # who wants the answers does not care whether they count
    home = federation.leader
    made.verify_key = keys.read_verify_key(home.round_files(federation.round_id).verify)
    monkeypatch.setattr(attacks, "secrets", made)
    return made


def test_c_a_second_verify_key_is_never_used(two_faced: PoolCoalition) -> None:
    assert not attacks.attack_c_two_keys(two_faced)
    first, second = two_faced.seen
    assert first == second  # the same report again gives the same verifier shares, byte for byte


def test_c_with_an_aggregator_that_takes_another_key(
    two_faced: PoolCoalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Office.bench

    def obliging(self: Office, task: object) -> object:
        made = bench(self, task)
        return replace(made, seat=replace(made.seat, verify_key=two_faced.verify_key))

    monkeypatch.setattr(Office, "bench", obliging)
    assert attacks.attack_c_two_keys(two_faced)
    first, second = two_faced.seen
    assert first != second


def test_c_another_key_in_the_place_of_the_rounds_own_is_refused(federation: Federation) -> None:
    path = federation.homes["south"].round_files(federation.round_id).verify
    own = path.rename(path.with_suffix(".own"))
    keys.write_verify_key(path, VerifyKey.generate())
    publish(federation, "carers", federation.seal(1, TINY_ANSWERS))
    try:
        _, result = federation.sync("north", "south", clean=False)
        assert [fault.code for fault in result.faults] == ["state.verify-key"]
        seq = federation.chain().batches[-1].seq
        assert not federation.file(federation.paths.verify(seq, "south")).exists()
    finally:
        own.replace(path)
    federation.settle()


# -- D: a second public share ---------------------------------------------------------------


def test_d_another_public_share_does_not_open(coalition: PoolCoalition) -> None:
    _leader_knows_the_key(coalition)
    assert not attacks.attack_d_two_public_shares(coalition)
    assert coalition.refusals == ["report.open"]


@pytest.mark.usefixtures("loose_envelope")
def test_d_where_it_opened_the_nonce_is_burnt(coalition: PoolCoalition) -> None:
    _leader_knows_the_key(coalition)
    assert not attacks.attack_d_two_public_shares(coalition)
    assert coalition.refusals == ["report.burnt"]
    assert not any(b"".join(coalition.seen[-1]))


@pytest.mark.usefixtures("loose_envelope", "no_burns")
def test_d_without_both_guards(coalition: PoolCoalition) -> None:
    _leader_knows_the_key(coalition)
    assert attacks.attack_d_two_public_shares(coalition)


def _leader_knows_the_key(coalition: PoolCoalition) -> None:
    home = coalition.federation.leader
    coalition.verify_key = keys.read_verify_key(home.round_files(coalition.task.round_id).verify)
