"""`grievance status`: where every round stands, what waits for whom, and what moves it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from grievance.cli import dates
from grievance.cli.office import NO_SPLIT_TRUST
from grievance.cli.output import Json, counted, emit, emit_json
from grievance.cli.places import HomeOption, open_home, round_ids

if TYPE_CHECKING:
    import typer

    from grievance.aggregator import Office
    from grievance.aggregator.status import RoundStatus
    from grievance.home import Home
    from grievance.relay import Standing


_MAX_STRANGE = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Say what waits for whom, since when.

    For an aggregator: every round it takes part in, and the command that moves it. For a
    relay: the rounds of the pool, and whether it is admitted.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.status import status as read_status

    own = open_home(home)
    with Office.open(own) as office:
        rounds = read_status(office, dates.today())
        ours = {line.round: _ours(office, line) for line in rounds}
        relayed = _relayed(office, set(ours))
    strange = _strange(own)
    if as_json:
        emit_json(
            [
                {"role": "aggregator", **line.to_json(), **_as_json(ours[line.round])}
                for line in rounds
            ]
            + [{"role": "relay", **vars(line)} for line in relayed]
        )
        return
    if not rounds and not relayed:
        emit(f"There is no round in this pool that {own.name} could take part in yet.")
        if not strange:
            emit("  next: grievance plan new, then grievance round new PLAN, or wait for one")
    for line in rounds:
        _show_round(line, own.name, ours[line.round])
    for one in relayed:
        _show_relayed(one, own.name)
    _show_strange(strange)


def _strange(own: Home) -> list[str]:
    """Rounds that nobody we compared has signed or offered a card for: their names, no more."""
    from grievance.pool.rounds import seen_rounds

    seen = set(seen_rounds(own.store, own.compared()))
    return [name for name in round_ids(own.store) if name not in seen]


def _show_strange(names: list[str]) -> None:
    if not names:
        return
    more = f" and {len(names) - _MAX_STRANGE:,} more" if len(names) > _MAX_STRANGE else ""
    emit(f"Left alone, by nobody whose key you compared: {', '.join(names[:_MAX_STRANGE])}{more}")
    emit("  If you were invited to one of them, call whoever opened it, and type what they say:")
    emit("  grievance round join ROUND --expect NAME:FINGERPRINT   to take part as an aggregator")
    emit("  grievance relay FOLDER --round ROUND --trust DIGEST    to relay reports")


def _ours(office: Office, line: RoundStatus) -> Standing | None:
    """Our own batches in a round that we count and relay into; None where we do not."""
    from grievance.errors import GrievanceError, is_away
    from grievance.relay import standing

    if office.home.name not in (*line.partners, *line.expelled):
        return None
    try:
        task = office.task(line.round)
        return standing(office, office.chain(task)) if task is not None else None
    except GrievanceError as error:
        if is_away(error):
            raise
        return None


def _as_json(ours: Standing | None) -> dict[str, object]:
    return {"ours": asdict(ours)} if ours is not None else {}


def _show_round(line: RoundStatus, me: str, ours: Standing | None) -> None:
    lost = line.cannot_be_released
    emit(f"{line.round}: {line.title} [{'closed, cannot be released' if lost else line.stage}]")
    if line.rehearsal:
        emit(f"  {NO_SPLIT_TRUST}")
    emit(f"  aggregators: {', '.join(line.aggregators)} (the first one leads)")
    relays = ", ".join(line.partners) or "none yet"
    expelled = f"; expelled: {', '.join(line.expelled)}" if line.expelled else ""
    emit(f"  relays: {relays}{expelled}")
    if line.silent and line.stage == "open":
        emit(f"  no batch so far from: {', '.join(line.silent)}")
    if line.overdue_days:
        leads = line.aggregators[0] == me
        close = f"grievance round close --round {line.round}"
        emit(_overdue(line) + (close if leads else f"{line.aggregators[0]} types: {close}"))
    _show_batches(line, ours)
    if lost:
        emit(f"  it can never be released: {lost}; a new round needs new reports")
    for release_id, stage in line.releases.items():
        emit(f"  release {release_id}: {stage}")
    for item in line.waiting:
        who = "you" if item.who == me else item.who
        since = f", since {_moment(item.since)}" if item.since else ""
        emit(f"  waits for {who}: {item.what}{since}")
        emit(f"      {item.command}")
    for proof in line.evidence:
        emit(f"  evidence: {proof}; show it to the other organisations")
    if line.fault:
        emit(f"  fault: {line.fault}")
    elif not line.waiting and line.stage != "destroyed":
        emit(f"  next: {_next(line, me)}")


def _show_batches(line: RoundStatus, ours: Standing | None) -> None:
    """What was passed on, by everybody and by us."""
    if line.batches:
        emit(
            f"  {counted(line.rows, 'sealed report')}, cover included, in "
            f"{counted(line.batches, 'batch', 'batches')}; "
            f"{counted(line.decided, 'batch', 'batches')} decided, in which "
            f"{counted(line.accepted, 'sealed report counts', 'sealed reports count')}"
        )
    if line.stage == "open":
        for place in line.given_up:
            emit(f"  batch {place} was given up; if it has arrived: grievance round order {place}")
    if ours is not None:
        _show_standing(ours, line.aggregators[0], is_open=line.stage == "open")


def _overdue(line: RoundStatus | Relayed) -> str:
    """Say that the closing day has passed, up to what to do about it."""
    from grievance.plan.period import clock_in_words, days_ago
    from grievance.plan.words import day_in_words

    day = day_in_words(date.fromisoformat(line.closes))
    days = line.overdue_days
    return f"  was to close on {day}, {days_ago(days)}{clock_in_words(days)}: "


def _moment(text: str) -> str:
    """Write a moment as people do, by this machine's clock."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"


def _next(line: RoundStatus, me: str) -> str:
    """What moves a round in which nobody is waited for."""
    leads = line.aggregators[0] == me
    leader = line.aggregators[0]
    live = [stage for stage in line.releases.values() if not stage.startswith("declined")]
    if line.cannot_be_released:
        return f"grievance round destroy --round {line.round}"
    if line.stage == "open" and not line.partners:
        return "grievance admit NAME" if leads else f"{leader} admits relays: grievance admit NAME"
    if line.stage == "open":
        close = "grievance round close" if leads else f"{leader} types: grievance round close"
        return f"relays pass reports on, grievance relay; when all are in, {close}"
    if line.stage == "decided" and not live:
        return "grievance release propose"
    if line.stage == "released":
        return "grievance release show, grievance release export FOLDER"
    return "grievance sync"


@dataclass(frozen=True)
class Relayed:
    """A round seen by an organisation that is no aggregator of it."""

    round: str
    title: str
    stage: str
    rehearsal: bool
    admitted: bool
    batches: int
    rows: int
    decided: int
    waiting: int
    late: int
    late_rows: int
    given_up: tuple[int, ...]
    leader: str
    opens: str
    closes: str
    overdue_days: int


def _relayed(office: Office, known: set[str]) -> list[Relayed]:
    """The signed rounds of the pool in which we are at most a relay."""
    from grievance.errors import GrievanceError, is_away
    from grievance.plan.period import days_overdue
    from grievance.pool.order import read_chain
    from grievance.pool.rounds import read_task, seen_rounds
    from grievance.relay import standing

    own, found, today = office.home, [], dates.today()
    for round_id in seen_rounds(own.store, own.compared()):
        if round_id in known:
            continue
        try:
            task = read_task(own.store, round_id)
            if task is None:
                continue
            chain = read_chain(own.store, task)
            ours = standing(office, chain)
        except GrievanceError as error:
            if is_away(error):
                raise
            continue
        found.append(
            Relayed(
                round_id,
                task.plan.title,
                "closed" if chain.closed else "open",
                task.rehearsal,
                chain.partners.get(own.name) == own.identity.key and own.name not in chain.expelled,
                ours.batches,
                ours.rows,
                ours.decided,
                ours.waiting,
                ours.late,
                ours.late_rows,
                ours.given_up,
                task.aggregators[0].name,
                task.plan.opens.isoformat(),
                task.plan.closes.isoformat(),
                0 if chain.closed else days_overdue(task.plan, today),
            )
        )
    return found


def _show_standing(ours: Standing | Relayed, leader: str, *, is_open: bool) -> None:
    """Where our own batches stand."""
    if ours.batches:
        files = "; all are decided, and their files can be deleted"
        emit(
            f"  {counted(ours.rows, 'sealed report')} of ours, cover included, in "
            f"{counted(ours.batches, 'batch', 'batches')} have their place"
            + (files if ours.decided == ours.batches else f"; {ours.decided:,} decided by all")
        )
    if ours.waiting:
        waits, its = ("waits", "its") if ours.waiting == 1 else ("wait", "their")
        batches = counted(ours.waiting, "batch", "batches")
        emit(f"  {batches} of ours {waits} for {its} place; {leader} types: grievance sync")
    if ours.late:
        emit(
            f"  {counted(ours.late, 'batch', 'batches')} of ours came after the close: "
            f"{counted(ours.late_rows, 'sealed report')}, cover included, are not counted"
        )
    for place in ours.given_up:
        order = f"if its file has arrived, {leader} types: grievance round order {place}"
        what = order if is_open else "its reports are not counted"
        emit(f"  batch {place} of ours was given up; {what}")


def _show_relayed(line: Relayed, me: str) -> None:
    emit(f"{line.round}: {line.title} [{line.stage}]")
    if line.rehearsal:
        emit(f"  {NO_SPLIT_TRUST}")
    _show_standing(line, line.leader, is_open=line.stage == "open")
    if line.overdue_days:
        emit(_overdue(line) + "the leader may close it any day")
    if line.stage == "closed":
        emit("  next: when it is released, grievance release show")
    elif line.admitted:
        emit(f"  next: grievance relay FOLDER --round {line.round}")
    else:
        emit(f"  next: the leader admits us: grievance admit {me}:FINGERPRINT")
