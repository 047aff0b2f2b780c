"""The one way out adds the full noise, once, and nothing un-noised lies around anywhere.

The distribution is checked on `add_noise` itself, over zero aggregates, against the exact
probabilities; each check is also run on noise that is too small, which it must flag.
Source: docs/design.md, sections 9 and 10; docs/threats.md, section 3.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from math import exp, sqrt
from typing import TYPE_CHECKING

import pytest

from dishonest import at_bench, own_total, publish, weigh
from federation import Federation, seal_measurement
from grievance import privacy
from grievance.aggregator import Office, noise
from grievance.aggregator.bench import Bench
from grievance.aggregator.noise import add_noise
from grievance.aggregator.state import State
from grievance.cost import Cost
from grievance.errors import PrivacyError, ReleaseError
from grievance.plan import Layout
from grievance.pool.store import LocalStore
from grievance.privacy import NoiseLaw
from grievance.release import collect
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from grievance.task import Task

LABELS = [f'"place {i}"' for i in range(20)]
ROLES = [f'"role {i}"' for i in range(20)]
WIDE_PLAN = f"""
title = "A wide plan"
campaign = "wide"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"

[privacy]
epsilon = 3
delta = 1e-6
lifetime_epsilon = 8
minimum_reports = 10
hide_below = 0

[fields.place]
question = "Where?"
choices = [{", ".join(LABELS)}]
required = true

[fields.role]
question = "As what?"
choices = [{", ".join(ROLES)}]
required = true

[fields.hours]
question = "How many hours?"
minimum = 0
maximum = 12
step = 1

[statistics.who]
count = ["place", "role"]

[statistics.hours]
mean = "hours"
by = ["place", "role"]
"""
AGGREGATORS = ("north-union", "south-network")
RELEASES = 10
MAIN = "from grievance.cli import main; main()"
Draws = dict[str, list[list[int]]]  # what: for each release its coordinates


def centred(values: Sequence[int], modulus: int) -> list[int]:
    return [v - modulus if v > modulus // 2 else v for v in values]


@pytest.fixture(scope="module", params=["gaussian", "laplace"])
def task(request: pytest.FixtureRequest) -> Task:
    plan = WIDE_PLAN.replace("[privacy]", f'[privacy]\nmechanism = "{request.param}"')
    return make_coalition(plan, AGGREGATORS).task


def draw_releases(task: Task, releases: int = RELEASES) -> Draws:
    """Noise of many releases over nothing: counts, and a mean's totals T and numbers N."""
    modulus, found = task.vdaf.field.MODULUS, {"count": [], "T": [], "N": []}
    for _ in range(releases):
        values = add_noise(task, task.vdaf.agg_init(), ("who", "hours"))
        found["count"].append(centred(values["who"], modulus))
        mean = centred(values["hours"], modulus)
        found["T"].append(mean[: len(mean) // 2])
        found["N"].append(mean[len(mean) // 2 :])
    return found


@pytest.fixture(scope="module")
def drawn(task: Task) -> dict[str, Draws]:
    return {name: draw_releases(task) for name in AGGREGATORS}


def stated(task: Task, aggregators: int = 1) -> dict[str, NoiseLaw]:
    """The noise that the task promises, of so many aggregators together."""
    grid = task.plan.fields["hours"].grid_size
    scales = {name: given.scale for name, given in task.allocations.items()}
    scales = {"count": scales["who"], "T": scales["hours"] * grid, "N": scales["hours"]}
    return {what: NoiseLaw(task.mechanism, b, aggregators) for what, b in scales.items()}


def flat(rows: Sequence[Sequence[int]]) -> list[int]:
    return [value for row in rows for value in row]


def weights_of(law: NoiseLaw) -> dict[int, float]:
    """One draw's probabilities but for a factor, from the definition of the two mechanisms."""
    scale = float(law.scale)
    if law.mechanism == "laplace":
        return {x: exp(-abs(x) / scale) for x in range(-int(40 * scale) - 2, int(40 * scale) + 3)}
    reach = int(12 * scale) + 2
    return {x: exp(-(x * x) / (2 * scale * scale)) for x in range(-reach, reach + 1)}


def chi_square_holds(draws: Sequence[int], law: NoiseLaw) -> bool:
    """Compare with the exact law of one draw, in bins of equal weight; wrong once in 10^9."""
    weights = weights_of(law)
    total, bins, upto, reach = sum(weights.values()), [], 0.0, max(weights)
    edges: list[int] = []  # a draw belongs to the first edge that is not below it
    for x, weight in weights.items():
        upto += weight / total
        if upto * 50 >= len(bins) + 1 or x == reach:
            bins.append(upto - sum(bins))
            edges.append(x)
    counts = [0] * len(bins)
    place = {}
    at = 0
    for x in weights:
        place[x] = at
        if x == edges[at]:
            at = min(at + 1, len(bins) - 1)
    for draw in draws:
        if draw not in place:
            return False
        counts[place[draw]] += 1
    n, used = len(draws), [(c, b) for c, b in zip(counts, bins, strict=True) if b * len(draws) > 5]
    statistic = sum((c - n * b) ** 2 / (n * b) for c, b in used)
    freedom = len(used) - 1
    # Wilson and Hilferty: the cube root of chi-square over its degrees is nearly normal.
    limit = freedom * (1 - 2 / (9 * freedom) + 6 * sqrt(2 / (9 * freedom))) ** 3
    return statistic < limit


def variance_holds(draws: Sequence[int], law: NoiseLaw) -> bool:
    """Within six standard errors of the variance, and the mean within six of zero.

    The squared error of a variance is (kurtosis - 1) / n of it, and of one Laplace draw the
    kurtosis is 6 and a little more, of a normal law 3.
    """
    n, kurtosis = len(draws), 3 if law.mechanism == "gaussian" else 3 + 4 / law.draws
    mean = sum(draws) / n
    variance = sum((d - mean) ** 2 for d in draws) / (n - 1)
    close = abs(variance / law.variance - 1) < 6 * sqrt((kurtosis - 1) / n)
    return close and abs(mean) < 6 * law.sd / sqrt(n)


def correlation(one: Sequence[int], other: Sequence[int]) -> float:
    products = sum(a * b for a, b in zip(one, other, strict=True))
    return products / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


@pytest.mark.parametrize("what", ["count", "T", "N"])
@pytest.mark.parametrize("name", AGGREGATORS)
def test_each_aggregator_adds_the_full_noise(
    task: Task, drawn: dict[str, Draws], name: str, what: str
) -> None:
    draws, law = flat(drawn[name][what]), stated(task)[what]
    assert variance_holds(draws, law)
    assert chi_square_holds(draws, law)


@pytest.mark.parametrize("what", ["count", "T", "N"])
def test_the_joined_release_has_the_noise_of_all(
    task: Task, drawn: dict[str, Draws], what: str
) -> None:
    pairs = zip(*(flat(drawn[name][what]) for name in AGGREGATORS), strict=True)
    joined, law = [a + b for a, b in pairs], stated(task, len(AGGREGATORS))[what]
    assert variance_holds(joined, law)
    assert not variance_holds(joined, stated(task)[what])
    only_one = flat(drawn[AGGREGATORS[0]][what])  # the other one's noise dropped
    assert not variance_holds(only_one, law)


def test_noise_is_independent_across_shares_coordinates_and_releases(
    drawn: dict[str, Draws],
) -> None:
    one, other = (drawn[name] for name in AGGREGATORS)
    for what in one:
        draws = flat(one[what])
        limit = 6 / sqrt(len(draws))
        assert abs(correlation(draws, flat(other[what]))) < limit
        assert abs(correlation(draws[:-1], draws[1:])) < limit
        assert abs(correlation(flat(one[what][:-1]), flat(one[what][1:]))) < 1.1 * limit
    assert abs(correlation(flat(one["T"]), flat(one["N"]))) < 6 / sqrt(len(flat(one["T"])))
    assert abs(correlation(flat(one["count"]), flat(one["count"]))) > 0.9


def quarters(sigmas: Sequence[Fraction], factor: float) -> list[Fraction]:
    return [Fraction(round(float(s) * factor * 64), 64) for s in sigmas]


@pytest.mark.parametrize("what", ["count", "T", "N"])
def test_too_little_noise_would_be_noticed(
    task: Task, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    draw, law = privacy.draw, stated(task)[what]
    monkeypatch.setattr(noise.privacy, "draw", lambda m, s: draw(m, quarters(s, 1 / sqrt(2))))
    halved = flat(draw_releases(task)[what])
    assert not variance_holds(halved, law)
    assert not chi_square_holds(halved, law)
    monkeypatch.setattr(noise.privacy, "draw", lambda _, s: [0] * len(s))
    dropped = flat(draw_releases(task)[what])
    assert not variance_holds(dropped, law)
    assert not chi_square_holds(dropped, law)


@pytest.mark.parametrize("what", ["count", "T", "N"])
def test_the_other_mechanisms_noise_would_be_noticed(
    task: Task, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    draw, law = privacy.draw, stated(task)[what]
    other = "laplace" if task.mechanism == "gaussian" else "gaussian"
    least = privacy.noise_of(other).least
    monkeypatch.setattr(noise.privacy, "draw", lambda _, s: draw(other, [max(least, x) for x in s]))
    assert not chi_square_holds(flat(draw_releases(task)[what]), law)


def test_a_task_that_was_charged_too_little_draws_nothing(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = task.allocations["who"]
    # The sampler's own map knows nothing of the 5/4 of sigma^2 that Gaussian noise is charged for.
    less = Cost(given.cost.kind, given.cost.amount * Fraction(3, 4))
    cheap = replace(task, allocations={**task.allocations, "who": replace(given, cost=less)})
    monkeypatch.setattr(noise.privacy, "draw", lambda *_: pytest.fail("noise was drawn"))
    with pytest.raises(PrivacyError) as caught:
        add_noise(cheap, task.vdaf.agg_init(), ("who",))
    assert caught.value.code == "privacy.map"


def test_noise_is_added_to_the_projection_and_to_nothing_else(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise.privacy, "draw", lambda _, s: [-7] * len(s))
    modulus = task.vdaf.field.MODULUS
    aggregate = [(i * i * 2**90 + 3) % modulus for i in range(task.layout.num_bits)]
    for name, values in add_noise(task, aggregate, ("who", "hours")).items():
        exact = Layout(task.plan).project(name, aggregate, modulus)
        assert list(values) == [(e - 7) % modulus for e in exact]


# -- a release is drawn once ----------------------------------------------------------------


class PowerCut(BaseException):
    """Nothing that code may catch."""


def ready_to_charge(federation: Federation) -> str:
    federation.open_round()
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    release_id = federation.propose().release_id
    federation.answer("south", release_id)
    return release_id


def ledger_rows(federation: Federation, name: str) -> list[bytes]:
    return list(at_bench(federation, name, lambda bench: bench.state.ledger()))


def test_a_release_asked_for_again_is_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = Federation(tmp_path)
    release_id = ready_to_charge(federation)
    put, cut = LocalStore.put, []

    def unplugged(self: LocalStore, path: str, data: bytes) -> None:
        if path.startswith("ledger/"):
            cut.append(path)
            raise PowerCut
        put(self, path, data)

    monkeypatch.setattr(LocalStore, "put", unplugged)
    for name in ("north", "south", "north", "south"):
        with pytest.raises(PowerCut):
            federation.sync(name)
    monkeypatch.setattr(LocalStore, "put", put)
    assert cut
    charged = {name: ledger_rows(federation, name) for name in federation.aggregators}
    assert [len(rows) for rows in charged.values()] == [1, 1]
    monkeypatch.setattr(noise.privacy, "draw", lambda *_: pytest.fail("noise was drawn again"))
    federation.settle()
    published = {}
    for name in federation.aggregators:
        published[name] = federation.file(federation.paths.noisy(release_id, name)).read_bytes()
        assert ledger_rows(federation, name) == charged[name]
        federation.file(federation.paths.noisy(release_id, name)).unlink()
    federation.settle()
    with pytest.raises(ReleaseError) as refused:
        federation.propose()
    assert refused.value.code == "release.twice"
    for name, data in published.items():
        assert federation.file(federation.paths.noisy(release_id, name)).read_bytes() == data
    first = collect(federation.leader.store, federation.task, release_id)
    assert first.accepted == 12


# -- nothing un-noised at rest --------------------------------------------------------------


class Sentinel:
    """Collects every un-noised number that was ever computed, and looks for them in files."""

    def __init__(self) -> None:
        self.vectors: dict[str, tuple[int, ...]] = {}

    def note(self, what: str, vector: Sequence[int]) -> None:
        if any(vector):
            self.vectors[f"{what} {len(self.vectors)}"] = tuple(vector)

    def needles(self, vector: Sequence[int]) -> Iterator[bytes]:
        """The vector whole, and each of its long elements: raw, in hex, in base64, in digits."""
        whole = b"".join(v.to_bytes(16, "little") for v in vector)
        yield from (whole, whole.hex().encode(), base64.b64encode(whole).rstrip(b"="))
        yield base64.urlsafe_b64encode(whole).rstrip(b"=")
        for value in vector:
            if value.bit_length() > 100:
                for order in ("little", "big"):
                    raw = value.to_bytes(16, order)
                    yield from (raw, raw.hex().encode())
                yield str(value).encode()

    def find(self, data: bytes) -> list[str]:
        return [w for w, v in self.vectors.items() if any(n in data for n in self.needles(v))]

    def scan(self, folder: Path) -> list[str]:
        return [
            f"{what} in {path}"
            for path in folder.rglob("*")
            if path.is_file()
            for what in self.find(path.read_bytes())
        ]


def test_un_noised_sums_are_nowhere_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation, sentinel, found = Federation(tmp_path), Sentinel(), []
    seal_sum, project, close = Bench.seal_sum, Layout.project, State.close

    def noting_sum(self: Bench, seq: int, total: list[int]) -> bytes:
        sentinel.note(f"sum of batch {seq} at {self.name}", total)
        return seal_sum(self, seq, total)

    def noting_project(self: Layout, name: str, aggregate: Sequence[int], modulus: int) -> object:
        exact = project(self, name, aggregate, modulus)
        sentinel.note(f"exact share of {name}", exact)
        return exact

    def scanning_close(self: State) -> None:
        found.extend(sentinel.scan(tmp_path))  # while the write-ahead log still lies there
        close(self)

    monkeypatch.setattr(Bench, "seal_sum", noting_sum)
    monkeypatch.setattr(Layout, "project", noting_project)
    monkeypatch.setattr(State, "close", scanning_close)
    task = federation.open_round()
    bad = seal_measurement(task, weigh(task, [1] * task.layout.num_bits))
    publish(federation, "nurses", [*federation.seal(11), bad])
    federation.relay("carers", federation.seal(3))
    federation.settle()
    release_id = ready_again(federation)
    totals = {name: at_bench(federation, name, own_total) for name in federation.aggregators}
    for name, total in totals.items():
        sentinel.note(f"total at {name}", total)
    for name in federation.aggregators:
        said = subprocess.run(
            [sys.executable, "-c", MAIN, "sync", "--home", str(federation.homes[name].root)],
            capture_output=True,
            check=True,
        )
        found += sentinel.find(said.stdout + said.stderr)
    federation.settle()
    release = collect(federation.leader.store, federation.task, release_id)
    assert release.accepted == 14
    assert len(sentinel.vectors) > 8
    assert not found
    assert not sentinel.scan(tmp_path)
    leaked = task.vdaf.field.encode_vec(totals["south"][:1])
    (tmp_path / "pool" / "leak").write_bytes(b"a sum: " + leaked)
    assert sentinel.scan(tmp_path)


def ready_again(federation: Federation) -> str:
    federation.close()
    release_id = federation.propose().release_id
    federation.answer("south", release_id)
    return release_id


def test_noise_is_drawn_only_while_charging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that must not happen draws nothing: no budget, no noise, no share."""
    federation = Federation.opened(tmp_path)
    federation.relay("nurses", federation.seal(9))
    federation.settle()
    federation.close()
    monkeypatch.setattr(noise.privacy, "draw", lambda *_: pytest.fail("noise was drawn"))
    with pytest.raises(ReleaseError):
        federation.propose()
    federation.settle()
    with Office.open(federation.leader) as office:
        assert not office.state.ledger()
