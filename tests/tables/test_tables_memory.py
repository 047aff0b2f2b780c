"""Each person once: what a sealer remembers, and which rows are whose."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grievance.aggregator.destroy import files_of
from grievance.errors import StateError
from grievance.home import Home
from grievance.tables import SealMemory, check_table, load_mapping, open_table
from grievance.tables.memory import forget, memory_path

MAPPING = 'person = "id"\n[fields.region]\ncolumn = "where"\n'


@pytest.fixture(scope="module")
def two(make_round, small_text):
    """A round in which a worker may hand in two reports."""
    head = "lifetime_epsilon = 4.0\n"
    return make_round(small_text.replace(head, head + "reports_per_worker = 2\n"))


def read(round_, write, people, memory=None, mapping=MAPPING, **how):
    text = "id,where\n" + "".join(f"{one},{region}\n" for one, region in people)
    loaded = load_mapping(mapping, round_.task.plan)
    table = open_table(write(text), loaded)
    return check_table(round_.task, table, loaded, memory=memory, **how)


def remember(memory, reading, tmp_path):
    number = memory.remember(tmp_path / "out", tmp_path / "part", "2026-10-02", reading.tags)
    memory.done(number)


def judged(reading):
    refused = [(row.row, row.code) for row in reading.refused]
    return reading.taken, refused, reading.left_out["sealed before"]


def test_rows_of_one_person(small, two, write):
    people = [("7", "London"), ("7.0", "North"), ("8", "North"), ("", "North"), ("7", "Wales")]
    assert judged(read(small, write, people)) == (
        [4],
        [(2, "row.twice"), (3, "row.twice"), (5, "row.person"), (6, "row.twice")],
        0,
    )
    taken, refused, _ = judged(read(two, write, people[:4]))
    assert (taken, refused) == ([2, 3, 4], [(5, "row.person")])
    # Rows that are not named or wanted are nobody's.
    assert judged(read(small, write, people, rows={2, 4}))[:2] == ([2, 4], [])
    only = 'only = { where = "Wales" }\n' + MAPPING
    assert judged(read(small, write, people, mapping=only))[:2] == ([6], [])


def test_two_reports_a_worker_over_several_exports(two, write, tmp_path):
    with SealMemory.open(tmp_path, two.task) as memory:
        first = read(two, write, [("1", "North"), ("2", "North"), ("2", "Wales")], memory)
        assert judged(first) == ([2, 3, 4], [], 0)
        remember(memory, first, tmp_path)
        # In another order: the old rows are known by their cells, the new ones counted.
        people = [("1", "London"), ("2", "Wales"), ("2", "North"), ("1", "North"), ("2", "London")]
        later = read(two, write, people, memory)
        assert judged(later) == ([2], [], 4)
        # Two new rows where one is left: which of them is not ours to guess.
        people = [("1", "North"), ("1", "London"), ("1", "Wales")]
        assert judged(read(two, write, people, memory)) == (
            [],
            [(3, "row.twice"), (4, "row.twice")],
            1,
        )
        assert judged(read(two, write, people[:2], memory, again=True))[0] == [2, 3]


def test_overlap_of_rows_without_ids(small, write, tmp_path):
    no_ids = MAPPING.partition("\n")[2]
    people = [(str(n), "North") for n in range(10)]
    with SealMemory.open(tmp_path, small.task) as memory:
        reading = read(small, write, people, memory, no_ids)
        assert memory.overlap(reading.tags) is None
        remember(memory, reading, tmp_path)
        for start, expected in ((0, 10), (3, 7), (5, 5), (6, None), (10, None)):
            some = [(str(n), "North") for n in range(start, start + 10)]
            found = memory.overlap(read(small, write, some, memory, no_ids).tags)
            assert (found and found.num_rows) == expected
        # Few of many here, but all of an earlier sealing.
        some = [(str(n), "North") for n in range(100)]
        found = memory.overlap(read(small, write, some, memory, no_ids).tags)
        assert found is not None
        assert (found.num_rows, found.day) == (10, "2026-10-02")


def test_hashes_are_keyed_by_round_and_home(small, two, tmp_path):
    tags = set()
    for number, round_ in enumerate((small, small, two)):
        with SealMemory.open(tmp_path / str(number), round_.task) as memory:
            tags |= {memory.person_tag("7"), memory.row_tag(["7"])}
            assert memory.row_tag(["a", "b"]) != memory.row_tag(["ab", ""])
            assert memory.row_tag([["a"], None]) == memory.row_tag(["a ", ""])
            assert "key" not in repr(memory)
    assert len(tags) == 6
    with SealMemory.open(tmp_path / "0", small.task) as memory:
        assert memory.person_tag("7") in tags
    assert memory_path(tmp_path, small.task) != memory_path(tmp_path, two.task)


def test_of_another_round_or_damaged(small, two, tmp_path):
    with SealMemory.open(tmp_path, small.task):
        pass
    path = memory_path(tmp_path, small.task)
    path.rename(memory_path(tmp_path, two.task))
    with pytest.raises(StateError) as caught:
        SealMemory.open(tmp_path, two.task)
    assert caught.value.code == "seal.memory"
    assert forget(tmp_path, two.task)
    assert not forget(tmp_path, two.task)
    assert not list(tmp_path.iterdir())


def test_it_goes_when_the_round_is_destroyed(small, tmp_path):
    """`round destroy` deletes every file of the round's own folder, and this is one of them."""
    home = Home(tmp_path, {"name": "north", "display_name": "North", "pool": "x"}, None)
    folder = home.round_files(small.task.round_id).folder
    assert files_of(home, small.task.round_id) == []
    with SealMemory.open(folder, small.task):
        pass
    assert files_of(home, small.task.round_id) == [memory_path(folder, small.task)]


ROW = st.tuples(st.sampled_from("abc"), st.sampled_from(["North", "Wales", "London"]))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(exports=st.lists(st.lists(ROW, max_size=5), max_size=4), data=st.data())
def test_whatever_is_exported_nobody_counts_more_than_allowed(
    two, write, tmp_path_factory, exports, data
):
    """Exports that grow, shrink and change: at most two rows of anybody, and no one is lost."""
    sealed = Counter()
    folder = tmp_path_factory.mktemp("memory")
    with SealMemory.open(folder, two.task) as memory:
        for people in exports:
            reading = read(two, write, people, memory)
            sealed.update(people[row - 2][0] for row in reading.taken)
            remember(memory, reading, folder)
            alone = Counter(one for one, _ in people)
            for one in alone:
                # Who was never sealed is sealed now, or refused by number.
                told = {people[row.row - 2][0] for row in reading.refused}
                assert sealed[one] > 0 or one in told
    assert max(sealed.values(), default=0) <= 2
