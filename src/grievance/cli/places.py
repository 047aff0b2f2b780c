"""Where things are: which home, which pool, which round, and why it may be trusted."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grievance.cli.output import confirm, say
from grievance.errors import GrievanceError, KeyFileError, PoolError, TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.home import Home
    from grievance.pool.rounds import SignedTask
    from grievance.pool.store import Store
    from grievance.task import Identity, Task

_PASSPHRASE_ATTEMPTS = 3

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="GRIEVANCE_HOME",
        help="The organisation's own folder [default: ~/.grievance].",
        show_default=False,
    ),
]
RoundOption = Annotated[
    str | None,
    typer.Option("--round", help="The round; needed only where there are several."),
]
ReferenceOption = Annotated[
    bool,
    typer.Option(
        "--reference",
        help="Check every report by the readable reference: slowly, and without the fast path.",
    ),
]
TrustOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="DIGEST|FINGERPRINT",
        help="The round's digest, or the fingerprint of every aggregator, as you know it from "
        "outside the pool. Repeat for several.",
    ),
]


def home_path(home: Path | None) -> Path:
    """The organisation's folder."""
    return home if home is not None else Path.home() / ".grievance"


def passphrase() -> str | None:
    """The passphrase of the keys, from the environment; None when keys have none."""
    return os.environ.get("GRIEVANCE_PASSPHRASE") or None


def open_home(home: Path | None) -> Home:
    """Open the organisation's folder, asking for the passphrase where one is needed."""
    from grievance.home import Home

    opened = Home.open(home_path(home), passphrase())
    for attempt in range(_PASSPHRASE_ATTEMPTS):
        try:
            opened.key  # noqa: B018  # reading it tells whether a passphrase is needed
        except KeyFileError as error:
            last = attempt == _PASSPHRASE_ATTEMPTS - 1
            if error.code != "key.passphrase" or passphrase() or not sys.stdin.isatty() or last:
                raise _with_hint(error) from None
            if attempt:
                say(error.message)
            opened = Home.open(
                home_path(home), typer.prompt("Passphrase", hide_input=True, err=True)
            )
        else:
            break
    return opened


def _with_hint(error: KeyFileError) -> KeyFileError:
    hint = error.hint
    if error.code == "key.passphrase" and hint is None:
        hint = (
            "is GRIEVANCE_PASSPHRASE the one of this organisation?"
            if passphrase()
            else "set GRIEVANCE_PASSPHRASE, or run it in a terminal to be asked"
        )
    return KeyFileError(error.message, code=error.code, hint=hint)


def split_partner(text: str) -> tuple[str, str | None]:
    """Split NAME[:FINGERPRINT]."""
    name, _, fingerprint = text.partition(":")
    return name, fingerprint or None


def vouch(home: Home, text: str, *, yes: bool) -> Identity:
    """Find an organisation named NAME[:FINGERPRINT] and remember that its key was compared."""
    from grievance.home import read_identity

    name, fingerprint = split_partner(text)
    try:
        identity = home.find_partner(name, fingerprint)
    except TrustError as error:
        if error.code != "trust.unknown" or yes or not sys.stdin.isatty():
            raise
        identity = read_identity(home.store, name)
        say(f"{identity.display_name} ({name}) has the fingerprint")
        say(f"    {identity.fingerprint}")
        confirm(f"Have you called {name}, and did they read out the same?", yes=False)
    if home.known_key(name) is None and name != home.name:
        home.trust(identity)
    return identity


def round_ids(store: Store) -> list[str]:
    """All rounds of a pool that have an invitation or a task."""
    from grievance.pool.layout import is_round_id

    return [
        name
        for name in store.names("rounds")
        if is_round_id(name) and (_there(store, name, "task") or _there(store, name, "plan"))
    ]


def _there(store: Store, round_id: str, what: Literal["task", "plan"]) -> bool:
    """Whether a round's file is there; not where the round's folder is a link, say."""
    from grievance.pool.layout import RoundPaths

    paths = RoundPaths(round_id)
    try:
        return store.size(paths.task if what == "task" else paths.plan) is not None
    except PoolError as error:
        if error.code == "pool.link":
            return False
        raise


def vouched_rounds(
    store: Store, every: Sequence[str], home: Home | None, trust: Sequence[str]
) -> list[str]:
    """The rounds that somebody known here has signed or invited to; nothing is laid out."""
    from grievance.pool.rounds import is_seen, read_signed

    known = home.compared() if home is not None else {}
    for text in trust:
        name, _, fingerprint = text.partition(":")
        if home is not None and fingerprint:
            with contextlib.suppress(GrievanceError):
                known[name] = home.find_partner(name, fingerprint).key
    found = []
    for round_id in every:
        if is_seen(store, round_id, known):
            found.append(round_id)
        elif trust:
            signed = read_signed(store, round_id)
            if signed is not None and any(_fits(text, signed) for text in trust):
                found.append(round_id)
    return found


def _fits(text: str, signed: SignedTask) -> bool:
    """Whether a digest or fingerprint vouches for a task, or for somebody who signed it."""
    from grievance.crypto.fingerprint import TASK_GROUPS, matches

    return matches(text, signed.head.digest, TASK_GROUPS) or any(
        matches(text, key.fingerprint) for key in signed.signers
    )


def trusted_task(
    store: Store, round_id: str, trust: Sequence[str] | None, home: Home | None = None
) -> Task:
    """The fully signed task of a round, vouched for from outside the pool.

    Vouching is: what was typed with --trust, or that this organisation has compared the
    fingerprints of all aggregators (it is one of them, or it admitted or joined them). What
    is typed is remembered in the home. Raises TrustError otherwise.
    """
    from grievance.pool.rounds import read_task_and_signatures
    from grievance.task import TrustAnchor, load_task

    found = read_task_and_signatures(store, round_id)
    if found is None or found[2]:
        missing = ", ".join(found[2]) if found else "the leader"
        raise UsageError(
            f"round {round_id} is not open yet: the signature of {missing} is missing",
            code="round.waiting",
            hint="wait until every aggregator has signed",
        )
    task, signatures, _ = found
    texts = list(trust or ())
    if not texts and home is not None:
        for entry in task.aggregators:
            if entry.identity in (home.key.public, home.known_key(entry.name)):
                texts.append(entry.identity.fingerprint.hex())
    anchor = TrustAnchor.from_texts(texts)
    checked = load_task((task.data, list(signatures.values())), trust=anchor)
    if trust and home is not None:
        for entry in checked.aggregators:
            if entry.name != home.name and home.known_key(entry.name) is None:
                home.trust(entry.member)
    return checked


def signed_rounds(store: Store, home: Path | None) -> list[str]:
    """The digests of the rounds in this pool that our own organisation signed, where there is one.

    What it signed it had compared. Says which, since a reader must know whose word that is.
    """
    from grievance.aggregator.state import State
    from grievance.crypto.fingerprint import TASK_GROUPS, short
    from grievance.home import Home
    from grievance.pool.rounds import read_signed
    from grievance.task.parties import read_head

    if home is None and not (home_path(home) / "organisation.json").exists():
        return []
    own = Home.open(home_path(home))
    if not own.state_path.exists():
        return []
    with own.lock():
        state = State(own.state_path)
        try:
            signed = [read_head(data) for data in state.tasks()]
        finally:
            state.close()
    found = []
    for head in signed:
        there = read_signed(store, head.round_id)
        if there is not None and there.head.digest == head.digest:
            found.append(head.digest.hex())
            say(
                f"trusting {head.round_id}, {short(head.digest, TASK_GROUPS)}: {own.name} signed it"
            )
    return found
