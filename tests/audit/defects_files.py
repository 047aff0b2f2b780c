"""Files that are not what their places say."""

from __future__ import annotations

from audit_defects import defect
from audit_world import Pool


@defect("file.unknown")
def an_unknown_file(pool: Pool) -> None:
    pool.write(f"{pool.paths.folder}/notes.txt", b"hello")


@defect("file.leftover", "waiting")
def a_half_written_file(pool: Pool) -> None:
    pool.write("partners/.north.json.0123456789ab", b"{")


@defect("file.kind")
def a_link(pool: Pool) -> None:
    pool.file("partners/friend.json").symlink_to("/etc/passwd")


@defect("file.size")
def a_large_file(pool: Pool) -> None:
    with pool.file("partners/nurses.json").open("r+b") as file:
        file.truncate(5 << 20)


@defect("file.form")
def a_file_of_another_form(pool: Pool) -> None:
    pool.write("partners/nurses.json", b"{}")


@defect("file.signature")
def a_changed_name(pool: Pool) -> None:
    data = pool.read("partners/nurses.json")
    pool.write("partners/nurses.json", data.replace(b"Nurses", b"Nursed"))


@defect("file.foreign")
def a_decision_by_somebody_else(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    pool.sign_again(pool.paths.decide(seq, "south"), pool.keys["carers"], lambda body: None)


@defect("file.place")
def an_identity_under_another_name(pool: Pool) -> None:
    pool.write("partners/nobody.json", pool.read("partners/nurses.json"))


@defect("file.unchecked", "note")
def behind_a_broken_event(pool: Pool) -> None:
    path = pool.paths.order(3)
    pool.write(path, pool.read(path).replace(b"nurses", b"nursed"))
