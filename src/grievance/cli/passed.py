"""What `grievance relay` says it did: lines for people, and the same for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from grievance.cli.output import counted, emit, emit_json, say

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.home import Home
    from grievance.pool.order import OrderChain
    from grievance.relay import Left, Look, Passed, Refused, Rule
    from grievance.task import RoundTerms


def tell_look(
    own: Home,
    chain: OrderChain,
    spool: Path,
    rule: Rule,
    done: Look,
    *,
    as_json: bool,
    again: bool = False,
) -> None:
    """Say what one look at a spool did. `again`: one of many, so JSON stays on one line."""
    task, passed = chain.task, done.passed
    admitted = chain.partners.get(own.name) == own.identity.key
    told = [refused_json(one, place) for one, place in done.refused]
    if as_json:
        from grievance.relay import Passed

        value = passed_json(task, passed or Passed(0, 0, (), 0, 0), admitted=admitted)
        left = done.left and {
            "reports": done.left.reports,
            "batches": list(done.left.batches),
            "until": done.left.until.date().isoformat() if done.left.until else None,
        }
        more = {"waiting": done.waiting, "not_counted": left, "deleted": done.deleted}
        emit_json({**value, "refused": told, **more}, one_line=again)
        return
    tell_found(own, done.found)
    for one in told:
        say(refused_in_words(one))
    if passed is not None:
        tell_passed(own, task, passed, admitted=admitted)
    elif not chain.closed:
        goes = "it goes" if done.waiting == 1 else "they go"
        say(f"{counted(done.waiting, 'new report')} in {spool}; {goes} out when {_until(rule)}.")
    if chain.closed:
        tell_left(task, done.left)
    if done.deleted:
        say(f"Deleted {counted(done.deleted, 'file')} that nobody needs any more.")


def _until(rule: Rule) -> str:
    """What has to happen before what lies in the spool goes out."""
    number = f"there are {rule.at_least:,}" if rule.at_least is not None else ""
    hours = ""
    if rule.every is not None:
        hours = f"{rule.every / timedelta(hours=1):g} hours have passed since the last time"
    return ", or ".join(filter(None, (number, hours)))


def tell_left(task: RoundTerms, left: Left | None) -> None:
    """Say what a closed round does not count."""
    if left is None:
        say(f"{task.round_id} is closed; everything we passed on has its place in it.")
        return
    if left.reports:
        say(
            f"{task.round_id} is closed. {counted(left.reports, 'report')} here had not been "
            "passed on, and will not be counted."
        )
    if left.batches:
        several = len(left.batches) != 1
        say(
            f"{counted(len(left.batches), 'batch', 'batches')} of ours came after the close, or "
            f"{'were' if several else 'was'} given up: {'their' if several else 'its'} reports are "
            "not counted."
        )
    if left.until is not None:
        say(
            f"Tell whoever handed them in. The files are deleted after {left.until:%d %B %Y}; "
            "a new round needs new reports."
        )


def passed_json(task: RoundTerms, passed: Passed, *, admitted: bool) -> dict[str, Any]:
    """What was passed on, for programs."""
    return {
        "round": task.round_id,
        "reports": passed.reports,
        "blank": passed.blank,
        "batches": list(passed.paths),
        "twice": passed.twice,
        "before": passed.before,
        "admitted": admitted,
        "rehearsal": task.rehearsal,
    }


def tell_passed(own: Home, task: RoundTerms, passed: Passed, *, admitted: bool) -> None:
    """Say what was passed on, and what was left out and why."""
    for path in passed.paths:
        emit(path)
    if passed.paths:
        say(
            f"Relayed {counted(passed.reports, 'report')}, with "
            f"{counted(passed.blank, 'blank one')} to make it {passed.reports + passed.blank:,}, "
            f"in {counted(len(passed.paths), 'batch', 'batches')}."
        )
    else:
        say("Nothing here is new, so no batch was made.")
    if passed.twice:
        say(f"{counted(passed.twice, 'report')} came twice and went once.")
    if passed.before:
        gone = (
            "has gone out before and was" if passed.before == 1 else "have gone out before and were"
        )
        say(f"{counted(passed.before, 'report')} {gone} left out.")
    if passed.paths and not admitted:
        say(f"{own.name} is not admitted to {task.round_id} yet; the batch waits until it is.")


def tell_found(own: Home, found: int) -> None:
    """Say how many of our batches only the pool remembered."""
    if found:
        say(
            f"The pool holds {counted(found, 'batch', 'batches')} of {own.name} that this home did "
            "not remember; what they hold is left out."
        )


def refused_json(one: Refused, place: Path | None) -> dict[str, str | None]:
    """A file that does not read, for programs; `place`: where it is now, if it was moved."""
    return {
        "file": str(one.path),
        "error": one.code,
        "reason": one.reason,
        "set_aside": str(place) if place else None,
    }


def refused_in_words(one: dict[str, str | None]) -> str:
    """One line about a file that does not read."""
    where = f"set aside as {one['set_aside']}" if one["set_aside"] else "left where it is"
    return f"not passed on: {one['file']}: {one['reason']}; {where}"
