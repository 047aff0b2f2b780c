"""The order chain: whatever is not the leader's next event is ignored, or the leader's fault.

Source: docs/design.md, section 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot, flip, publish
from federation import Federation
from grievance.aggregator import Office
from grievance.crypto.documents import (
    b64encode,
    canonical,
    parse_canonical,
    parse_document,
    sign_document,
)
from grievance.crypto.signing import SigningKey
from grievance.errors import OrderError, PoolError
from grievance.pool.batch import MAX_BATCH_ROWS
from grievance.pool.events import (
    Admit,
    Close,
    Event,
    Expel,
    OrderBatch,
    OrderRelease,
    Void,
    read_event,
)
from grievance.pool.layout import RoundPaths
from grievance.pool.order import KIND, OrderChain, read_chain
from grievance.pool.store import open_store
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.pool.store import Store
    from grievance.testing import Coalition

NURSES, CARERS = SigningKey.generate(), SigningKey.generate()
BATCH = {"type": "batch", "partner": "nurses", "batch": "ab" * 32, "rows": 5}
RELEASE = {"type": "release", "release": "0" * 16, "proposal": "cd" * 32}


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(TINY_PLAN.decode())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def signed(coalition: Coalition, chain: OrderChain, event: Any, **changes: Any) -> bytes:
    """Any event in the next place, signed by the leader unless told otherwise."""
    body = {
        "task": coalition.task.digest.hex(),
        "seq": chain.length + 1,
        "previous": chain.head.hex(),
        "event": event,
    }
    key = changes.pop("key", coalition.signing_keys[0])
    kind = changes.pop("kind", KIND)
    body |= changes
    return sign_document(kind, {k: v for k, v in body.items() if v is not ...}, key)


def grown(coalition: Coalition, *events: Any) -> tuple[OrderChain, list[bytes]]:
    chain, files = OrderChain.start(coalition.task), []
    for event in events:
        files.append(chain.sign_next(read_event(event), coalition.signing_keys[0]))
        chain.extend(parse_document(files[-1], kind=KIND))
    return chain, files


def put(coalition: Coalition, store: Store, seq: int, data: bytes) -> None:
    store.put(RoundPaths(coalition.task.round_id).order(seq), data)


ADMIT = Admit("nurses", NURSES.public).to_json()
ADMIT_2 = Admit("carers", CARERS.public).to_json()


def test_a_chain_grows_and_reads_back(coalition: Coalition, store: Store) -> None:
    events = [ADMIT, ADMIT_2, BATCH, {"type": "expel", "partner": "nurses"}, {"type": "close"}]
    chain, files = grown(coalition, *events, RELEASE)
    for seq, data in enumerate(files, start=1):
        assert read_chain(store, coalition.task).length == seq - 1
        put(coalition, store, seq, data)
    found = read_chain(store, coalition.task)
    assert found == chain
    assert found.closed
    assert found.expelled == {"nurses"}
    assert [batch.rows for batch in found.batches] == [5]
    assert found.releases == {"0" * 16: b"\xcd" * 32}


BROKEN_RULES: dict[str, tuple[list[Any], Any]] = {
    "a batch of nobody": ([], BATCH),
    "a batch of somebody else": ([ADMIT_2], BATCH),
    "a batch of an expelled partner": ([ADMIT, {"type": "expel", "partner": "nurses"}], BATCH),
    "a batch twice": ([ADMIT, BATCH], BATCH),
    "a batch twice with other rows": ([ADMIT, BATCH], BATCH | {"rows": 6}),
    "a batch after closing": ([ADMIT, {"type": "close"}], BATCH),
    "no rows": ([ADMIT], BATCH | {"rows": 0}),
    "negative rows": ([ADMIT], BATCH | {"rows": -1}),
    "rows in words": ([ADMIT], BATCH | {"rows": "5"}),
    "rows that are true": ([ADMIT], BATCH | {"rows": True}),
    "a digest in capitals": ([ADMIT], BATCH | {"batch": "AB" * 32}),
    "a digest with spaces": ([ADMIT], BATCH | {"batch": "ab " * 32}),
    "a short digest": ([ADMIT], BATCH | {"batch": "ab" * 31}),
    "no digest": ([ADMIT], {"type": "batch", "partner": "nurses", "rows": 5}),
    "one field more": ([ADMIT], BATCH | {"note": "hello"}),
    "admitted twice": ([ADMIT], ADMIT),
    "one key twice": ([ADMIT], Admit("carers", NURSES.public).to_json()),
    "one name twice": ([ADMIT], Admit("nurses", CARERS.public).to_json()),
    "admitted again after expulsion": ([ADMIT, {"type": "expel", "partner": "nurses"}], ADMIT),
    "admitted after closing": ([{"type": "close"}], ADMIT),
    "a name that is none": ([], ADMIT | {"partner": "../nurses"}),
    "a key that is none": ([], ADMIT | {"identity": b64encode(bytes(32))}),
    "a key of another length": ([], ADMIT | {"identity": b64encode(bytes(31))}),
    "a key in other letters": ([], ADMIT | {"identity": "*" * 43}),
    "nobody expelled": ([], {"type": "expel", "partner": "nurses"}),
    "expelled twice": (
        [ADMIT, {"type": "expel", "partner": "nurses"}],
        {"type": "expel", "partner": "nurses"},
    ),
    "closed twice": ([{"type": "close"}], {"type": "close"}),
    "a release before closing": ([], RELEASE),
    "a release twice": ([{"type": "close"}, RELEASE], RELEASE),
    "a release that is a path": ([{"type": "close"}], RELEASE | {"release": "../../x"}),
    "a short proposal": ([{"type": "close"}], RELEASE | {"proposal": "cd"}),
    "a proposal in capitals": ([{"type": "close"}], RELEASE | {"proposal": "CD" * 32}),
    "a proposal with spaces": ([{"type": "close"}], RELEASE | {"proposal": "c d " * 16}),
    "a proposal that is not hex": ([{"type": "close"}], RELEASE | {"proposal": "zz" * 32}),
    "an unknown event": ([], {"type": "reopen"}),
    "a private method": ([], {"type": "_apply"}),
    "no type": ([], {}),
    "a type that is none": ([], {"type": ["close"]}),
    "no event": ([], None),
}


@pytest.mark.parametrize("name", BROKEN_RULES)
def test_a_leader_that_breaks_a_rule_stops_the_round(
    coalition: Coalition, store: Store, name: str
) -> None:
    before, event = BROKEN_RULES[name]
    chain, files = grown(coalition, *before)
    data = signed(coalition, chain, event)
    for seq, file in enumerate([*files, data], start=1):
        put(coalition, store, seq, file)
    untouched = chain.copy()
    with pytest.raises(OrderError):
        chain.extend(parse_document(data, kind=KIND))
    assert chain == untouched
    with pytest.raises(OrderError) as error:
        read_chain(store, coalition.task)
    assert error.value.hint
    with pytest.raises(OrderError):
        chain.sign_next(read_event(event), coalition.signing_keys[0])


EVENTS = [
    Admit("nurses", NURSES.public),
    Expel("nurses"),
    OrderBatch("nurses", b"\xab" * 32, MAX_BATCH_ROWS),
    Void(1),
    Close(),
    OrderRelease("0" * 16, b"\xcd" * 32),
]


def by_kind(event: Event) -> str:
    return event.kind


def test_every_kind_of_event_is_tried() -> None:
    assert list(map(type, EVENTS)) == list(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=by_kind)
def test_an_event_reads_back_as_it_was_written(event: Event) -> None:
    assert read_event(parse_canonical(canonical(event.to_json()))) == event


@pytest.mark.parametrize("event", EVENTS, ids=by_kind)
def test_an_event_has_one_form(event: Event) -> None:
    """No field more or less, and none that is something else, or out of range."""
    good = event.to_json()
    others: list[Any] = [None, True, 0, -1, 2**53, [], {}, "", "../x", "AB" * 32, "ab" * 31]
    bad = [good | {"note": "hello"}, *({k: good[k] for k in good if k != gone} for gone in good)]
    bad += [good | {name: other} for name in good for other in others]
    for value in bad:
        with pytest.raises(OrderError) as error:
            read_event(value)
        assert error.value.code == "order"


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 3},
        {"seq": 0},
        {"seq": "2"},
        {"task": "00" * 32},
        {"task": ...},
    ],
    ids=str,
)
def test_a_signed_event_of_another_place_is_not_there(
    coalition: Coalition, store: Store, changes: dict[str, Any]
) -> None:
    """Anybody can put it there, so it says nothing about the leader."""
    chain, files = grown(coalition, ADMIT)
    put(coalition, store, 1, files[0])
    put(coalition, store, 2, signed(coalition, chain, ADMIT_2, **changes))
    assert read_chain(store, coalition.task).length == 1


@pytest.mark.parametrize(
    "changes", [{"previous": "00" * 32}, {"previous": ""}, {"more": 1}], ids=str
)
def test_a_signed_event_in_the_wrong_place(
    coalition: Coalition, store: Store, changes: dict[str, Any]
) -> None:
    chain, files = grown(coalition, ADMIT)
    put(coalition, store, 1, files[0])
    put(coalition, store, 2, signed(coalition, chain, ADMIT_2, **changes))
    with pytest.raises(OrderError):
        read_chain(store, coalition.task)


def test_what_the_leader_did_not_sign_is_not_there(coalition: Coalition, store: Store) -> None:
    chain, files = grown(coalition, ADMIT)
    put(coalition, store, 1, files[0])
    good = signed(coalition, chain, ADMIT_2)
    strangers = [
        signed(coalition, chain, ADMIT_2, key=NURSES),
        signed(coalition, chain, ADMIT_2, key=coalition.signing_keys[1]),
        signed(coalition, chain, ADMIT_2, kind="grievance/2 card"),
        good[:-1],
        good + b"\n",
        b"",
        b"{}",
        b"\xff" * 300,
        *(flip(good, at) for at in range(0, len(good), 7)),
    ]
    for data in strangers:
        put(coalition, store, 2, data)
        assert read_chain(store, coalition.task).length == 1
    put(coalition, store, 2, good)
    assert read_chain(store, coalition.task).length == 2


def test_a_gap_ends_the_chain(coalition: Coalition, store: Store) -> None:
    _, files = grown(coalition, ADMIT, ADMIT_2, {"type": "close"})
    put(coalition, store, 1, files[0])
    put(coalition, store, 3, files[2])
    found = read_chain(store, coalition.task)
    assert found.length == 1
    assert not found.closed
    put(coalition, store, 2, files[1])
    assert read_chain(store, coalition.task).closed


# -- what aggregators remember of it -----------------------------------------------------------


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    made = Federation.opened(tmp_path_factory.mktemp("order") / "now", TINY_PLAN)
    return Snapshot(made)


@pytest.fixture
def federation(opened: Snapshot) -> Federation:
    return opened.restore()


def test_two_events_for_one_place_are_noticed_by_whoever_saw_the_other(
    federation: Federation,
) -> None:
    publish(federation, "nurses", federation.seal(2, TINY_ANSWERS))
    publish(federation, "carers", federation.seal(2, TINY_ANSWERS))
    federation.settle()
    chain = federation.chain()
    earlier, key = OrderChain.start(federation.task), federation.leader.key
    for seq in range(1, chain.length):
        data = federation.file(federation.paths.order(seq)).read_bytes()
        earlier.extend(parse_document(data, kind=KIND))
    other = earlier.sign_next(Expel("carers"), key)
    path = federation.file(federation.paths.order(chain.length))
    path.write_bytes(other)
    (result,) = federation.sync("south", clean=False)
    assert [fault.code for fault in result.faults] == ["order.fork"]
    assert path.read_bytes() == other  # the evidence is left where it is
    with Office.open(federation.homes["south"]) as office, pytest.raises(OrderError) as error:
        office.open_bench(federation.round_id)
    assert error.value.code == "order.fork"


def test_a_pool_that_went_back_is_waited_for(federation: Federation) -> None:
    publish(federation, "nurses", federation.seal(2, TINY_ANSWERS))
    federation.settle()
    path = federation.file(federation.paths.order(federation.chain().length))
    data = path.read_bytes()
    path.unlink()
    with Office.open(federation.homes["south"]) as office, pytest.raises(PoolError) as error:
        office.open_bench(federation.round_id)
    assert error.value.code == "pool.behind"
    federation.sync("north")  # the leader has its own copy and writes it again
    assert path.read_bytes() == data


def test_the_leader_never_signs_two_events_for_one_place(federation: Federation) -> None:
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        stale = chain.copy()
        office.order(chain, Expel("nurses"))
        with pytest.raises(Exception, match=r"other bytes|UNIQUE"):
            office.order(stale, Expel("carers"))
        office.publish()
    assert federation.chain().expelled == {"nurses"}
    federation.settle()
