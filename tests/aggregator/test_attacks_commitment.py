"""Aggregators that use the commitments of twelve victims for reports of their own making.

All aggregators but one are dishonest. They open their parts of twelve reports that lie in the
pool, and relay twelve of their own under the same commitments first, so that the victims' would
be refused as burnt and the honest aggregator named for it. (They refuse nothing themselves: who
does is named for it.) They know everything but the honest aggregator's salt; so that one refuses
theirs, and remembers nothing of them.

Two controls: with one salt for all aggregators, and with the check left out, the same forgeries
get in and the victims' reports do not.

And one maker with two commitments that begin alike, so that both have one nonce: only the first is
ever verified.
"""

from __future__ import annotations

import importlib
import secrets
from functools import cache
from typing import TYPE_CHECKING

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, at_bench, decisions, exact_totals, publish
from federation import Federation, drawn_from, encode, seal_measurement
from grievance.aggregator import burns
from grievance.aggregator.burns import BurnIndex
from grievance.audit import audit_pool
from grievance.client import Report, seal
from grievance.client.commitment import (
    NONCE_SIZE,
    SALT_SIZE,
    OpeningReader,
    nonce_of,
    opening_size,
    salt_hash,
)
from grievance.client.input_share import InputShareOpener, _info, input_share_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Guess = Callable[[list[bytes]], bytes]

VICTIMS = 12
WISH: dict[str, object] = {"region": "Wales", "problems": ["overtime"]}
COALITIONS = [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]  # aggregators, and which one is honest

# What to put where the honest aggregator's salt belongs, from the salts of all others.
GUESSES: list[Guess] = [
    lambda known: known[0],
    lambda known: known[-1],
    lambda known: salt_hash(known[0]),
    lambda known: bytes(SALT_SIZE),
    lambda known: secrets.token_bytes(SALT_SIZE),
    lambda known: bytes(a ^ b for a, b in zip(known[0], known[-1], strict=True)),
]


class Town:
    """A round with so many aggregators, and what all but one of them do in it."""

    def __init__(self, folder: Path, number: int) -> None:
        names = ("north", "south", "west")[:number]
        self.federation = Federation(folder, names)
        self.task = self.federation.open_round(TINY_PLAN)
        benches = [at_bench(self.federation, name, lambda b: b.seat.hpke) for name in names]
        self.keys = dict(enumerate(benches))

    def opened(self, victim: Report, index: int) -> bytes:
        """The opening that an aggregator finds in its part of a report."""
        task, commitment = self.task, victim.commitment
        info = input_share_info(task.digest, index, commitment, victim.public_share)
        return self.keys[index].open(victim.ciphertexts[index], info)[
            : opening_size(len(self.keys))
        ]

    def forge(self, victim: Report, honest: int, guess: Guess) -> Report:
        """A report of the coalition's making under the commitment of `victim`."""
        task, name = self.task, victim.commitment
        known = {i: self.opened(victim, i) for i in self.keys if i != honest}
        salts = [opening[:SALT_SIZE] for opening in known.values()]
        hashes = self.hashes(known)
        others = b"".join(h for i, h in enumerate(hashes) if i != honest)
        inside = known | {honest: guess(salts) + others}
        rand = secrets.token_bytes(task.vdaf.RAND_SIZE)
        meas = encode(task, WISH)
        public, shares = task.vdaf._shard_encoded(task.ctx, meas, nonce_of(name), rand)
        encoded = task.vdaf.encode_public_share(public)
        sealed = tuple(
            party.hpke.seal(
                inside[i] + task.vdaf.encode_input_share(share),
                input_share_info(task.digest, i, name, encoded),
            )
            for i, (party, share) in enumerate(zip(task.aggregators, shares, strict=True))
        )
        return Report(task.digest, name, encoded, sealed)

    def hashes(self, known: dict[int, bytes]) -> list[bytes]:
        """All salt hashes, as the coalition puts them together from its openings."""
        number = len(self.keys)
        found: list[bytes] = [b""] * number
        for i, opening in known.items():
            found[i] = salt_hash(opening[:SALT_SIZE])
            rest = opening[SALT_SIZE:]
            for place, j in enumerate(j for j in range(number) if j != i):
                found[j] = rest[32 * place : 32 * place + 32]
        return found

    def play(
        self, victims: Sequence[Report], honest: int, guesses: Sequence[Guess]
    ) -> tuple[list[tuple[str, int]], list[tuple[str, int]], list[int]]:
        """The forgeries first, then the victims; codes and finders of both, and what was added."""
        before = exact_totals(self.federation)
        forged = [
            self.forge(victim, honest, guesses[number % len(guesses)])
            for number, victim in enumerate(victims)
        ]
        found = []
        for relay, reports in (("nurses", forged), ("carers", victims)):
            publish(self.federation, relay, reports)
            self.federation.settle()
            batch = self.federation.chain().batches[-1]
            all_say = decisions(self.federation, batch)
            assert len(all_say) == len(self.keys) and len({d.root for d in all_say}) == 1
            refused = all_say[0].refused
            found.append(
                [
                    (refused[row][0].code, refused[row][1]) if row in refused else ("counted", -1)
                    for row in range(len(reports))
                ]
            )
        total = self.task.vdaf.field.sub(exact_totals(self.federation), before)
        return found[0], found[1], total

    def bits(self, answers: dict[str, object]) -> list[int]:
        """What twelve such reports add."""
        layout = self.task.layout
        return [VICTIMS * bit for bit in layout.encode(layout.answers(answers))]


@pytest.fixture
def coalition(monkeypatch: pytest.MonkeyPatch) -> Callable[[Town, int], None]:
    """Let all aggregators but one verify whatever they like, however often."""
    burn = BurnIndex.burn

    def begin(town: Town, honest: int) -> None:
        home = town.federation.folder / town.federation.aggregators[honest]

        def careless(self: BurnIndex, commitments: list[bytes], inputs: list[bytes]) -> list[bool]:
            allowed = burn(self, commitments, inputs)
            own = self._state.path.is_relative_to(home)
            return allowed if own else [True] * len(commitments)

        monkeypatch.setattr(BurnIndex, "burn", careless)

    return begin


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Town]:
    return cache(lambda number: Town(tmp_path_factory.mktemp(f"town-{number}"), number))


@pytest.mark.parametrize(("number", "honest"), COALITIONS)
def test_all_others_together_cannot_use_a_commitment(
    town: Callable[[int], Town],
    coalition: Callable[[Town, int], None],
    number: int,
    honest: int,
) -> None:
    made = town(number)
    coalition(made, honest)
    victims = [seal(made.task, TINY_ANSWERS) for _ in range(VICTIMS)]
    forged, real, total = made.play(victims, honest, GUESSES)
    assert forged == [("report.commitment", honest)] * VICTIMS
    assert real == [("counted", -1)] * VICTIMS
    assert total == made.bits(TINY_ANSWERS)


@pytest.mark.parametrize(("number", "honest"), COALITIONS)
def test_with_one_salt_for_all_they_can(
    town: Callable[[int], Town],
    coalition: Callable[[Town, int], None],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    honest: int,
) -> None:
    made, module = town(number), importlib.import_module("grievance.client.seal")
    coalition(made, honest)
    hedged, salts = module._hedged, list[bytes]()

    def one_salt(label: bytes, digest: bytes, bits: list[int], size: int) -> bytes:
        if not label.startswith(b"grievance/2 report salt"):
            return hedged(label, digest, bits, size)  # type: ignore[no-any-return]
        if label.endswith(b" 0"):
            salts.append(hedged(label, digest, bits, size))
        return salts[-1]

    monkeypatch.setattr(module, "_hedged", one_salt)
    victims = [seal(made.task, TINY_ANSWERS) for _ in range(VICTIMS)]
    assert len(salts) == VICTIMS
    forged, real, total = made.play(victims, honest, GUESSES[:1])
    assert forged == [("counted", -1)] * VICTIMS
    assert real == [("report.burnt", honest)] * VICTIMS
    assert total == made.bits(WISH)


@pytest.mark.parametrize(("number", "honest"), COALITIONS)
def test_without_the_check_they_can(
    town: Callable[[int], Town],
    coalition: Callable[[Town, int], None],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    honest: int,
) -> None:
    made = town(number)
    coalition(made, honest)

    def trusting(
        self: InputShareOpener, commitment: bytes, public_digest: bytes, ciphertext: bytes
    ) -> bytes:
        info = _info(self._info_head, commitment, public_digest)
        return self._key.open(ciphertext, info)[self._reader.size :]

    victims = [seal(made.task, TINY_ANSWERS) for _ in range(VICTIMS)]
    monkeypatch.setattr(InputShareOpener, "open", trusting)
    forged, real, total = made.play(victims, honest, GUESSES)
    assert forged == [("counted", -1)] * VICTIMS
    assert real == [("report.burnt", honest)] * VICTIMS
    assert total == made.bits(WISH)


@pytest.mark.parametrize("honest", [0, 1])
def test_a_coalition_that_minds_its_own_table_is_named_itself(
    town: Callable[[int], Town], honest: int
) -> None:
    made = town(2)
    victims = [seal(made.task, TINY_ANSWERS) for _ in range(VICTIMS)]
    forged, real, total = made.play(victims, honest, GUESSES)
    assert forged == [("report.commitment", honest)] * VICTIMS
    assert real == [("report.burnt", 1 - honest)] * VICTIMS
    assert not any(total)


def test_a_part_changed_beside_the_honest_one_spoils_only_the_changer(
    town: Callable[[int], Town],
) -> None:
    """The honest ciphertext as it was opens: to the tag it has in the victim's report as well."""
    made = town(2)
    task, victim = made.task, seal(made.task, TINY_ANSWERS)
    own = made.opened(victim, 1) + secrets.token_bytes(task.vdaf.input_share_size(1))
    info = input_share_info(task.digest, 1, victim.commitment, victim.public_share)
    sealed = victim.ciphertexts[0], task.aggregators[1].hpke.seal(own, info)
    bent = Report(task.digest, victim.commitment, victim.public_share, sealed)
    publish(made.federation, "nurses", [bent, victim])
    made.federation.settle()
    (said, _) = decisions(made.federation, made.federation.chain().batches[-1])
    found = {row: (status.code, by) for row, (status, by) in said.refused.items()}
    # The changer's own table has the other bytes: it is the one that refuses, and is named.
    assert found == {0: ("report.joint-randomness", -1), 1: ("report.burnt", 1)}


# -- one maker, two commitments that begin alike ---------------------------------------------


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bytes]:
    """A hash that is broken in its first half, in place of 2^64 tries of a sound one."""
    reader = OpeningReader.commitment

    def broken(commitment: bytes) -> bytes:
        return bytes(NONCE_SIZE) + commitment[NONCE_SIZE:]

    monkeypatch.setattr(OpeningReader, "commitment", lambda self, data: broken(reader(self, data)))
    return broken


def twins(town: Town, alike: Callable[[bytes], bytes], start: int) -> list[Report]:
    """Two reports that open, with one nonce and two commitments."""
    task, found = town.task, []
    for seed in (bytes([start]), bytes([start + 1])):
        name = alike(drawn_from(task, seed).commitment)
        found.append(seal_measurement(task, encode(task, TINY_ANSWERS), seed=seed, commitment=name))
    return found


def codes_of(town: Town, reports: Sequence[Report]) -> list[str]:
    publish(town.federation, "nurses", reports)
    town.federation.settle()
    refused = town.federation.reasons()[town.federation.chain().batches[-1].seq]
    return [refused.get(row, "counted") for row in range(len(reports))]


def rules_broken(town: Town) -> set[str]:
    return {fault.rule for fault in audit_pool(town.federation.pool).faults}


def test_of_two_commitments_with_one_nonce_one_is_verified(
    tmp_path: Path, alike: Callable[[bytes], bytes]
) -> None:
    town = Town(tmp_path, 2)
    one, other = twins(town, alike, 1)
    assert nonce_of(one.commitment) == nonce_of(other.commitment)
    assert one.commitment != other.commitment
    assert codes_of(town, [one, other]) == ["counted", "report.burnt"]
    assert codes_of(town, [other, one]) == ["report.burnt", "report.replay"]
    assert "decide.replay" not in rules_broken(town)


def test_with_a_table_that_goes_by_commitment_both_would_be(
    tmp_path: Path, alike: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burns, "nonce_of", lambda commitment: commitment[NONCE_SIZE:])
    town = Town(tmp_path, 2)
    assert codes_of(town, twins(town, alike, 1)) == ["counted", "counted"]
    assert "decide.replay" in rules_broken(town)  # aggregators that did so are found out
