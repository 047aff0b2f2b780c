"""A pool that was moved: our folder is told where it is now, once it is seen to be the same one.

Nothing of what we remember changes: the state is held against the pool at the next sync as ever,
which refuses an old copy of the pool (`state.behind`, `ledger.rollback`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator.office import Office
from grievance.aggregator.rehearsal import find_helper
from grievance.errors import GrievanceError, UsageError
from grievance.home import Home, read_identity
from grievance.pool.places import check_apart
from grievance.pool.preflight import try_folder
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store

if TYPE_CHECKING:
    from grievance.pool.store import Store


def move_pool(home: Home, location: str) -> Home:
    """Point our folder, and a rehearsal's helper in it, to where the pool is now.

    Raises UsageError `home.pool` for another pool, or one of which not all has arrived that we
    know of, `home.place` for one inside our folder or around it, PoolError where there is none.
    """
    check_apart(home.root, location)
    store = open_store(location)
    with Office.open(home) as office:
        _check_same(office, store)
        try_folder(store)
        helper = find_helper(home)
        for moved in (home,) if helper is None else (helper, home):
            _point(moved, store.location)
    return Home.open(home.root, home.passphrase)


def _point(home: Home, pool: str) -> None:
    kept = {"name": home.name, "display_name": home.display_name}
    home.write_settings("organisation", {**kept, "pool": pool})


def _check_same(office: Office, store: Store) -> None:
    """Hold a pool against what we know: our own file, keys we compared, tasks we signed."""
    home = office.home
    here = f"{store.location} is not the pool of {home.name}"
    arrive = "look at the path; if it is right, wait until the folder has arrived whole"
    if _key(store, home.name) != home.key.public:
        raise _other(f"{here}: its own file is not there", arrive)
    for name in home.read_settings("known"):
        there = _key(store, name)
        if there is not None and there != home.known_key(name):
            raise _other(
                f"{here}, or it was tampered with: {name} has another key in it than you compared",
                f"look at the path; if it is right, call {name}",
            )
    for data in office.state.tasks():
        signed = tasks.parse_task(data)
        try:
            found = read_task(store, signed.round_id)
        except GrievanceError:
            found = None
        if found is None:
            raise _other(f"{here}, or not all of it: {signed.round_id} is missing", arrive)
        if found.digest != signed.digest:
            raise _other(
                f"{here}: its {signed.round_id} is another one than {home.name} signed",
                "look at the path",
            )


def _key(store: Store, name: str) -> object:
    try:
        return read_identity(store, name).key
    except GrievanceError as error:
        if error.code.startswith("partner."):
            return None
        raise


def _other(message: str, hint: str) -> UsageError:
    return UsageError(message, code="home.pool", hint=f"{hint}. Nothing was changed")
