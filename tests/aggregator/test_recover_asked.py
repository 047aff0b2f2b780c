"""A lost memory comes back only with what others remember: the folder alone may be an older one.

Each refusal has a control in which what is refused would have been let through.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from federation import PLAN, Federation
from grievance.aggregator import Office, asked
from grievance.aggregator.asked import Told, ToldHead, ask, typed_head
from grievance.aggregator.heads import stored_heads
from grievance.aggregator.recover import recover
from grievance.aggregator.releases import find_release
from grievance.aggregator.waive import waive
from grievance.audit import audit_pool
from grievance.crypto.documents import sign_document
from grievance.errors import GrievanceError, ReleaseError, StateError
from grievance.ledger import AloneEvent, read_ledger
from grievance.ledger.asked import ANSWER_KIND, make_answer, make_request
from grievance.ledger.checkpoint import parse_checkpoint, sign_checkpoint
from grievance.pool.layout import checkpoint_path, heads_answer_path, ledger_path
from grievance.release import collect

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.home import Home

NORTH, SOUTH = "north", "south"


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """A closed round with the witnesses nurses and carers, ready to be released."""
    made = Federation.opened(tmp_path / "town", watched=True)
    made.relay("nurses", made.seal(12))
    made.settle()
    made.close()
    return made


def approve(federation: Federation) -> str:
    release_id = federation.propose().release_id
    federation.answer(SOUTH, release_id)
    return release_id


def lose_memory(home: Home) -> None:
    for file in home.root.glob("state.sqlite*"):
        file.unlink()


def released_and_older(federation: Federation) -> tuple[str, Path]:
    """Release, keeping the folder and the leader's home as they were when all had approved."""
    release_id = approve(federation)
    old = federation.folder.with_name("old")
    shutil.copytree(federation.folder, old)
    federation.settle()
    assert collect(federation.leader.store, federation.task, release_id).accepted == 12
    return release_id, old


def show(federation: Federation, old: Path) -> None:
    shutil.rmtree(federation.folder / "pool")
    shutil.copytree(old / "pool", federation.folder / "pool")


def answer(federation: Federation, *names: str) -> None:
    """They sync in a folder that faults about the older ledger; answers are all that is asked."""
    federation.sync(*names, clean=False)


def refused(home: Home, code: str, **how: bool) -> StateError:
    with pytest.raises(StateError) as error:
        recover(home, ask(home).told(**how))
    assert error.value.code == code, error.value
    assert not home.state_path.exists()
    return error.value


# -- the older folder -------------------------------------------------------------------------


def test_an_older_folder_is_refused_once_witnesses_answer(federation: Federation) -> None:
    _, old = released_and_older(federation)
    south = federation.homes[SOUTH]
    answer(federation, "nurses")
    show(federation, old)
    lose_memory(south)
    said = refused(south, "recover.waiting")
    assert "carers" in str(said) and "nurses" in str(said)
    # The other aggregator says at once what its leader likes, and it counts for nothing.
    answer(federation, NORTH)
    refused(south, "recover.waiting")
    answer(federation, "nurses")
    refused(south, "recover.waiting")
    answer(federation, "carers")
    refused(south, "recover.ledger")
    # Nor does --alone go below what somebody holds with our own signature.
    refused(south, "recover.ledger", alone=True)


def test_without_asking_the_older_folder_is_believed(federation: Federation) -> None:
    """The control: what the answers prevent."""
    _, old = released_and_older(federation)
    show(federation, old)
    lose_memory(federation.homes[SOUTH])
    recover(federation.homes[SOUTH], Told())
    with Office.open(federation.homes[SOUTH]) as office:
        assert not office.state.ledger()


def test_answers_to_an_earlier_question_do_not_count(federation: Federation) -> None:
    """The folder is shown with its old answers and all: they are not to this question."""
    south = federation.homes[SOUTH]
    approve(federation)
    federation.settle()
    first = ask(south)
    assert first.request is not None
    answer(federation, "nurses", "carers")
    assert sorted(ask(south).answered) == ["carers", "nurses"]
    asked.forget_question(south)
    lose_memory(south)
    second = ask(south)
    assert second.request is not None and second.request.digest != first.request.digest
    assert second.answered == []
    for name in ("nurses", "carers"):
        path = heads_answer_path(SOUTH, first.request.request_id, name)
        copy = heads_answer_path(SOUTH, second.request.request_id, name)
        shutil.copy(federation.file(path), federation.file(copy))
    assert ask(south).answered == []
    refused(south, "recover.waiting")


def test_the_newest_folder_is_gone_on_with(federation: Federation) -> None:
    south = federation.homes[SOUTH]
    approve(federation)
    federation.settle()
    lose_memory(south)
    refused(south, "recover.waiting")
    answer(federation, "nurses", "carers")
    recover(south, ask(south).told())
    federation.settle()
    with Office.open(south) as office:
        assert len(office.state.ledger()) == 1 and not office.state.is_alone()
    assert not south.settings_file(asked.SETTINGS).exists()


def test_a_question_left_over_is_not_asked_again(federation: Federation) -> None:
    """Answers that came long ago say nothing about today."""
    south = federation.homes[SOUTH]
    first = ask(south).request
    federation.sync(SOUTH)
    second = ask(south).request
    assert first is not None and second is not None and first.digest != second.digest


# -- who counts -------------------------------------------------------------------------------


def test_a_witness_nobody_compared_is_not_counted(federation: Federation) -> None:
    south = federation.homes[SOUTH]
    approve(federation)
    federation.settle()
    lose_memory(south)
    known = south.read_settings("known")
    south.write_settings("known", {name: key for name, key in known.items() if name == NORTH})
    assert "--alone" in str(refused(south, "recover.alone").hint)
    answer(federation, "nurses", "carers")
    refused(south, "recover.alone")
    assert "gone on alone" not in asked.recovery_in_words(south, federation.task.plan, [NORTH])
    assert "compared the keys of 0 of the 2" in asked.recovery_in_words(
        south, federation.task.plan, [NORTH, SOUTH]
    )
    south.write_settings("known", known)
    assert "it asks" in asked.recovery_in_words(south, federation.task.plan, [NORTH, SOUTH])
    recover(south, ask(south).told())


def test_a_witness_that_holds_nothing_is_no_answer(federation: Federation) -> None:
    """Carers never looked before: what they are shown only now is no memory."""
    south = federation.homes[SOUTH]
    approve(federation)
    federation.witnesses = ["nurses"]
    federation.settle()
    lose_memory(south)
    ask(south)
    answer(federation, "nurses", "carers")
    assert ask(south).answered == ["nurses"]


def test_a_false_head_blocks_nothing(federation: Federation) -> None:
    """Nurses answer with a head of 10^9 entries that they signed themselves: it is no answer."""
    south, nurses = federation.homes[SOUTH], federation.homes["nurses"]
    approve(federation)
    federation.settle()
    lose_memory(south)
    question = ask(south).request
    assert question is not None
    huge = 10**9
    false = sign_checkpoint(SOUTH, huge, b"\x01" * 32, nurses.key)
    body = {
        "ledger": SOUTH,
        "request": question.digest.hex(),
        "witness": "nurses",
        "head": false.decode(),
    }
    path = heads_answer_path(SOUTH, question.request_id, "nurses")
    south.store.put(path, sign_document(ANSWER_KIND, body, nurses.key))
    assert ask(south).heads == ()
    federation.file(path).unlink()
    answer(federation, "nurses", "carers")
    recover(south, ask(south).told())
    # Control: with our own signature the same size stops it, whoever brings it.
    ours = sign_checkpoint(SOUTH, huge, b"\x01" * 32, south.key)
    head = parse_checkpoint(ours, SOUTH, south.key.public)
    request = make_request(SOUTH, south.key)
    south.store.put(
        heads_answer_path(SOUTH, request.request_id, NORTH),
        make_answer(request, NORTH, head, federation.leader.key),
    )
    (told,) = asked.answers(south, request, {NORTH: federation.leader.key.public})
    with pytest.raises(StateError) as error:
        told.check(read_ledger(south.store, SOUTH, south.key.public), south.key.public)
    assert error.value.code == "recover.ledger"


def test_heads_that_were_read_out(federation: Federation) -> None:
    south = federation.homes[SOUTH]
    _, old = released_and_older(federation)
    lines = {}
    for name in ("nurses", "carers"):
        with Office.open(federation.homes[name]) as office:
            (head,) = [h for h in stored_heads(office) if h.ledger == SOUTH]
        lines[name] = f"{name}:{head.size}:{head.spoken}"
    lose_memory(south)
    typed = [typed_head(text) for text in lines.values()]
    wrong = ToldHead("nurses", 1, spoken="0000-" * 7 + "0000")
    with pytest.raises(StateError) as error:
        recover(south, ask(south).told([wrong, typed[1]]))
    assert error.value.code == "recover.ledger" and "read out once more" in str(error.value.hint)
    recover(south, ask(south).told(typed))
    lose_memory(south)
    show(federation, old)
    with pytest.raises(StateError) as error:
        recover(south, ask(south).told(typed))
    assert error.value.code == "recover.ledger"
    for text in ("nurses", "nurses:x:0000", "nurses:0:0000", "nurses:3"):
        with pytest.raises(GrievanceError):
            typed_head(text)


# -- alone ------------------------------------------------------------------------------------


def audit(federation: Federation) -> tuple[str, dict[str, str], str]:
    found = audit_pool(federation.pool, trust=[federation.task.digest.hex()])
    return found.verdict, {f.rule: f.message for f in found.findings}, found.sentence


def test_alone_stands_in_the_ledger_and_audit_tells_it(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path, b"witness_quorum = 0\n" + PLAN)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    release = federation.release()
    south = federation.homes[SOUTH]
    lose_memory(south)
    assert "--alone" in str(refused(south, "recover.alone").hint)
    done = recover(south, ask(south).told(alone=True))
    assert any("recovered alone" in line for line in done)
    federation.settle()
    (entry,) = [
        e
        for e in read_ledger(south.store, SOUTH, south.key.public).entries
        if isinstance(e.event, AloneEvent)
    ]
    assert entry.size == 2 and federation.file(ledger_path(SOUTH, 2)).exists()
    verdict, found, _ = audit(federation)
    assert verdict == "pass" and "south lost its memory" in found["ledger.alone"]
    again = collect(federation.leader.store, federation.task, release.release_id)
    assert again.to_bytes() == release.to_bytes()


def test_who_recovered_alone_waives_nothing_until_it_was_told(federation: Federation) -> None:
    release_id = approve(federation)
    for _ in range(2):
        federation.sync(NORTH, SOUTH)
    federation.sync("nurses")
    south = federation.homes[SOUTH]
    lose_memory(south)
    recover(south, ask(south).told(alone=True))
    federation.sync(NORTH, SOUTH)

    def try_to_waive() -> list[str]:
        with Office.open(south) as office:
            bench, _ = office.open_bench(federation.round_id)
            return waive(bench, find_release(bench, release_id))

    with pytest.raises(StateError) as error:
        try_to_waive()
    assert error.value.code == "state.alone"
    answer(federation, "nurses", "carers")  # carers had stored nothing: one answer
    federation.sync(SOUTH, NORTH)
    with pytest.raises(StateError):
        try_to_waive()
    answer(federation, "carers")
    (result,) = federation.sync(SOUTH)
    assert any("confirmed how long our ledger was" in line for line in result.done)
    with pytest.raises(ReleaseError) as nothing:
        try_to_waive()
    assert nothing.value.code == "release.waive"


# -- waivers ----------------------------------------------------------------------------------


def charge_all(federation: Federation) -> str:
    release_id = approve(federation)
    for _ in range(2):
        federation.sync(NORTH, SOUTH)
    return release_id


def waive_at(federation: Federation, name: str, release_id: str) -> list[str]:
    with Office.open(federation.homes[name]) as office:
        bench, _ = office.open_bench(federation.round_id)
        found = waive(bench, find_release(bench, release_id))
        office.publish()
    return found


def test_a_lost_witness_is_waived_by_every_aggregator(federation: Federation) -> None:
    release_id = charge_all(federation)
    federation.sync("nurses", NORTH, SOUTH)
    noisy = federation.file(federation.paths.noisy(release_id, NORTH))
    assert waive_at(federation, NORTH, release_id) == ["carers"]
    federation.sync(NORTH, SOUTH)
    assert not noisy.exists(), "one aggregator alone lets nothing go"
    waive_at(federation, SOUTH, release_id)
    for _ in range(2):
        federation.sync(NORTH, SOUTH)
    assert noisy.exists()
    release = collect(federation.leader.store, federation.task, release_id)
    assert release.waived == ("carers",)
    assert release.to_json()["waived"] == ["carers"]
    verdict, rules, sentence = audit(federation)
    assert verdict == "pass", rules
    assert f"Release {release_id}: 1 of 2 witnesses saw what it costs" in sentence
    # Carers come back: the release stays what it says it is.
    federation.witnesses = ["nurses", "carers"]
    federation.settle()
    again = collect(federation.leader.store, federation.task, release_id)
    assert again.to_bytes() == release.to_bytes()
    assert "1 of 2 witnesses" in audit(federation)[2]


def test_nothing_is_waived_that_others_are_waited_for(federation: Federation) -> None:
    release_id = approve(federation)
    with pytest.raises(ReleaseError) as error:
        waive_at(federation, NORTH, release_id)
    assert error.value.code == "release.waive"
    federation.sync(NORTH)
    with pytest.raises(ReleaseError) as error:
        waive_at(federation, NORTH, release_id)
    assert "south" in str(error.value)
    federation.settle()
    with pytest.raises(ReleaseError) as error:
        waive_at(federation, NORTH, release_id)
    assert "waits for no witness" in str(error.value)
    assert federation.file(checkpoint_path(NORTH, 1)).exists()
