"""Where an organisation's folder and its pool may lie, and what is done when a pool moved."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_shell import Town, type_words

from grievance.aggregator import moving
from grievance.home import Home
from grievance.pool import places
from grievance.pool.places import homes_inside, synced_by, within

# An organisation's folder and its pool.


def init(home: Path, pool: Path | str, name: str = "west"):
    return type_words("init", name, "--pool", str(pool), home=home)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def spelt(folder: Path, how: str) -> Path:
    """Another way to write a folder, whose last part need not be there."""
    if how == "link":
        link = folder.parent / "link"
        link.symlink_to(folder.parent / folder.name)
        return link
    return folder.parent / "nowhere" / ".." / folder.name if how == "dots" else folder


@pytest.mark.parametrize("how", ["plain", "link", "dots"])
@pytest.mark.parametrize("inside", ["", "west", "a/b/west"])
def test_a_home_in_the_pool_is_refused(tmp_path: Path, inside: str, how: str) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    home = spelt(pool, how) / inside
    init(home, pool).refused(2, "lies in the pool", "outside")
    assert list(pool.iterdir()) == []


@pytest.mark.parametrize("how", ["plain", "link", "dots"])
@pytest.mark.parametrize("kind", ["", "file://"])
def test_a_pool_in_the_home_is_refused(tmp_path: Path, how: str, kind: str) -> None:
    pool = tmp_path / "west" / "pool"
    pool.mkdir(parents=True)
    home = spelt(tmp_path / "west", how)
    init(home, f"{kind}{pool}").refused(2, "lies in the organisation's own folder")
    assert list((tmp_path / "west").iterdir()) == [pool]


def test_apart_is_what_they_are(tmp_path: Path) -> None:
    """Control: beside each other, and with names that begin alike, they are apart."""
    for name in ("pool", "pool-of-west"):
        (tmp_path / name).mkdir()
    init(tmp_path / "pool-of-west" / "home", tmp_path / "pool").done()


def test_without_the_guard_keys_would_lie_in_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grievance.home.check_apart", lambda *_: None)
    (tmp_path / "pool").mkdir()
    init(tmp_path / "pool" / "west", tmp_path / "pool").done()
    assert (tmp_path / "pool" / "west" / "identity.pem").exists()


def test_one_place_by_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a folder that does not tell capital letters apart, the system says it is one."""
    (tmp_path / "Pool").mkdir()
    assert not within(tmp_path / "pool" / "home", tmp_path / "Pool")
    same = Path.samefile

    def as_a_mac_does(one: Path, other: Path) -> bool:
        lower = [str(p).casefold() for p in (one, other)]
        return lower[0] == lower[1] or same(one, other)

    monkeypatch.setattr(Path, "samefile", as_a_mac_does)
    assert within(tmp_path / "pool" / "home", tmp_path / "Pool")


def test_a_home_that_was_moved_into_the_pool_works_no_more(town: Town) -> None:
    town.home("north").rename(town.pool / "north")
    ran = type_words("status", home=town.pool / "north")
    ran.refused(2, "lies in the pool", "treat them as stolen")
    (town.pool / "north").rename(town.home("north"))
    town.type("north", "status").done()


def test_others_are_told_of_a_home_in_the_pool(town: Town) -> None:
    assert "warning" not in town.type("south", "sync").done().err
    assert homes_inside(town.pool) == []
    town.home("north").rename(town.pool / "north")
    assert homes_inside(town.pool) == [town.pool / "north"]
    assert "everybody who can read the pool can read its keys" in town.type("south", "sync").err


def test_no_export_is_put_into_the_pool(released: Town, tmp_path: Path) -> None:
    inside = released.pool / "inbox"
    words = ("release", "export")
    released.type("north", *words, str(inside)).refused(2, "lies inside the pool")
    released.type("north", *words, str(tmp_path / "out")).done()
    assert not inside.exists()


@pytest.mark.parametrize("what", ["relay", "spool", "bundle", "restore"])
def test_nothing_of_our_own_is_put_into_the_pool(opened: Town, what: str) -> None:
    inside = opened.pool / "inbox"
    pool = str(opened.pool)
    if what == "restore":
        ran = type_words("restore", "north", "--pool", pool, home=inside)
        ran.refused(2, "lies in the pool")
    elif what == "bundle":
        words = ("audit", pool, "--trust", opened.digest, "--bundle")
        ran = type_words(*words, str(inside))
        assert ran.code == 2
        assert "lies inside the pool" in ran.err
        assert "lies inside the pool" not in type_words(*words, str(opened.folder / "b.zip")).err
    else:
        inside.mkdir()
        words = ("relay", *(["--spool"] if what == "spool" else []))
        opened.type("nurses", *words, str(inside)).refused(2, "lies inside the pool")
        (opened.folder / "inbox").mkdir()
        ran = opened.type("nurses", *words, str(opened.folder / "inbox"))
        assert "lies inside the pool" not in ran.err
    assert not inside.exists() or list(inside.iterdir()) == []


# Folders that go to other machines.


@pytest.mark.parametrize(
    ("folder", "marker", "who"),
    [
        ("Nextcloud/Documents", "", "Nextcloud"),
        ("Dropbox (Union)", "", "Dropbox"),
        ("OneDrive - Union", "", "OneDrive"),
        ("Library/Mobile Documents/com~apple~CloudDocs", "", "iCloud"),
        ("Library/CloudStorage/Box-Box", "", "a cloud service"),
        ("GoogleDrive-us@example.org", "", "Google Drive"),
        ("shared", ".stfolder", "Syncthing"),
        ("shared", ".sync_0a1b2c3d4e5f.db", "Nextcloud"),
        ("shared", ".owncloudsync.log", "ownCloud"),
        ("shared", ".dropbox", "Dropbox"),
        ("shared", ".849C9593-D756-4E56-8D6E-42412F2A707B", "OneDrive"),
        ("shared", ".tmp.drivedownload", "Google Drive"),
    ],
)
def test_a_home_that_a_sync_client_copies_is_warned_about(
    tmp_path: Path, folder: str, marker: str, who: str
) -> None:
    (tmp_path / "pool").mkdir()
    place = tmp_path / folder
    place.mkdir(parents=True)
    if marker:
        (place / marker).mkdir()
    home = place / "deeper" / "home"
    ran = init(home, tmp_path / "pool").done()
    assert f"a folder that {who} copies to other machines" in ran.err
    ran = type_words("init", "east", "--pool", str(tmp_path / "pool"), "--json", home=place / "e")
    assert [w for w in ran.json["warnings"] if who in w]


@pytest.mark.parametrize("name", ["home", "dropboxes", "my-onedrive", "synced", ".config"])
def test_any_other_folder_is_not(tmp_path: Path, name: str) -> None:
    """Control. A pool in such a folder is what they are for."""
    assert synced_by(tmp_path / name) is None
    (tmp_path / "Nextcloud" / "pool").mkdir(parents=True)
    ran = init(tmp_path / name, tmp_path / "Nextcloud" / "pool").done()
    assert "warning" not in ran.err


# A pool that moved.


def test_every_command_says_what_to_do_when_the_pool_is_gone(opened: Town) -> None:
    opened.pool.rename(opened.folder / "elsewhere")
    for words in (
        ("sync",),
        ("status",),
        ("relay", str(opened.folder)),
        ("release", "show"),
        ("round", "close"),
        ("round", "invite", str(opened.folder / "again.json")),
        ("admit", opened.named("carers")),
        ("backup", "status"),
        ("exposure",),
        ("recover",),
    ):
        if words == ("recover",):
            (opened.home("north") / "state.sqlite").rename(opened.folder / "state.sqlite")
        ran = opened.type("north", *words)
        assert ran.code == 1, words
        assert "grievance home move-pool POOL" in ran.err, (words, ran.err)


def test_a_pool_that_moved_is_pointed_to(opened: Town) -> None:
    elsewhere = opened.folder / "elsewhere"
    opened.pool.rename(elsewhere)
    before = tree(opened.home("north"))
    ran = opened.type("north", "home", "move-pool", str(elsewhere)).done()
    assert f"now works in {elsewhere}" in ran.err
    after = tree(opened.home("north"))
    changed = {path for path in after if after[path] != before.get(path)}
    assert {p for p in changed if not p.startswith("state.sqlite")} == {"organisation.json"}
    assert json.loads(after["organisation.json"]) == {
        **json.loads(before["organisation.json"]),
        "pool": str(elsewhere),
    }
    done = opened.type("south", "home", "move-pool", str(elsewhere), "--json").done()
    assert done.json == {"pool": str(elsewhere), "was": str(opened.pool), "warnings": []}
    for name in ("north", "south"):
        opened.type(name, "sync").done()
    assert opened.type("north", "status", "--json").done().json[0]["stage"] == "open"


def another_pool(opened: Town, how: str) -> Path:
    """A folder that is not the pool, or not all of it."""
    other = opened.folder / "other"
    other.mkdir()
    if how == "empty":
        return other
    files = tree(opened.pool)
    for path, data in files.items():
        if how == "without-the-round" and path.startswith("rounds/"):
            continue
        (other / path).parent.mkdir(parents=True, exist_ok=True)
        (other / path).write_bytes(data)
    if how == "other-key":
        stranger = opened.folder / "stranger"
        stranger.mkdir()
        init(opened.folder / "false", stranger, "south").done()
        (other / "partners/south.json").write_bytes((stranger / "partners/south.json").read_bytes())
    if how == "other-us":
        stranger = opened.folder / "stranger"
        stranger.mkdir()
        init(opened.folder / "false", stranger, "north").done()
        (other / "partners/north.json").write_bytes((stranger / "partners/north.json").read_bytes())
    return other


SAYS = {
    "empty": "its own file is not there",
    "other-us": "its own file is not there",
    "without-the-round": "is missing",
    "other-key": "has another key in it than you compared",
}


@pytest.mark.parametrize("how", SAYS)
def test_another_pool_is_refused(opened: Town, how: str) -> None:
    other = another_pool(opened, how)
    before = (opened.home("north") / "organisation.json").read_bytes()
    ran = opened.type("north", "home", "move-pool", str(other))
    ran.refused(2, SAYS[how], "Nothing was changed")
    assert (opened.home("north") / "organisation.json").read_bytes() == before
    opened.type("north", "sync").done()


def test_without_the_comparison_it_would_be_taken(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    monkeypatch.setattr(moving, "_check_same", lambda *_: None)
    other = another_pool(opened, "empty")
    opened.type("north", "home", "move-pool", str(other)).done()


def test_a_pool_cannot_be_moved_to_where_none_may_be(opened: Town) -> None:
    gone = opened.folder / "gone"
    opened.type("north", "home", "move-pool", str(gone)).refused(1, "there is no pool folder")
    into = opened.home("north") / "pool"
    into.mkdir()
    opened.type("north", "home", "move-pool", str(into)).refused(2, "own folder")
    opened.type("north", "home", "move-pool", "s3://").refused(1, "names no server")


def test_the_helper_of_a_rehearsal_moves_along(town: Town) -> None:
    round_id = town.new("--rehearsal", "--yes").done().out.strip()
    elsewhere = town.folder / "elsewhere"
    town.pool.rename(elsewhere)
    town.type("north", "home", "move-pool", str(elsewhere)).done()
    assert Home.open(town.home("north") / "rehearsal-helper").pool == str(elsewhere)
    town.type("north", "sync").done()
    found = town.type("north", "status", "--json").done().json
    assert (found[0]["round"], found[0]["stage"]) == (round_id, "open")


def test_a_cut_between_the_two_is_gone_on_with(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper's folder is written first: our own still names the old place until the end."""
    town.new("--rehearsal", "--yes").done()
    elsewhere = town.folder / "elsewhere"
    town.pool.rename(elsewhere)
    pointed = moving._point

    def cut(home: Home, pool: str) -> None:
        if home.name == "north":
            raise KeyboardInterrupt
        pointed(home, pool)

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_point", cut)
        assert town.type("north", "home", "move-pool", str(elsewhere)).code == 130
    town.type("north", "home", "move-pool", str(elsewhere)).done()
    town.type("north", "sync").done()


def test_a_folder_that_cannot_be_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(places.os, "scandir", denied)
    assert synced_by(tmp_path) is None
    assert homes_inside(tmp_path) == []
    assert os.scandir is denied
