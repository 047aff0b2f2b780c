"""Files that are not what their places say."""

from __future__ import annotations

from audit_defects import defect
from audit_world import Pool

from grievance.audit.strangers import MAX_SIZE
from grievance.crypto.documents import sign_document
from grievance.pool.decisions import DECISION_KIND


@defect("file.unknown", "note")
def an_unknown_file(pool: Pool) -> None:
    pool.write(f"{pool.paths.folder}/notes.txt", b"hello")


@defect("file.leftover", "waiting")
def a_half_written_file(pool: Pool) -> None:
    pool.write("partners/.north.json.0123456789ab", b"{")


@defect("file.unread", "unchecked")
def a_large_file_that_begins_like_a_signed_one(pool: Pool) -> None:
    pool.write("partners/notes.json", b'{"body":' + bytes(MAX_SIZE))


@defect("file.placeholder", "waiting")
def a_placeholder(pool: Pool) -> None:
    path = pool.paths.order(2)
    pool.write(f"{pool.paths.folder}/order/.2.json.icloud", b"bplist00")
    pool.remove(path)


@defect("file.twice")
def a_second_decision_under_another_name(pool: Pool) -> None:
    path = pool.paths.decide(pool.batch_places()[0], "south")
    body = pool.body(path) | {"root": "00" * 32}
    pool.write(".Trash/old notes (2).txt", sign_document(DECISION_KIND, body, pool.keys["south"]))


@defect("file.kind", "note")
def a_link(pool: Pool) -> None:
    pool.file("partners/friend.json").symlink_to("/etc/passwd")


@defect("file.size", "waiting")
def a_large_file(pool: Pool) -> None:
    with pool.file("partners/nurses.json").open("r+b") as file:
        file.truncate(5 << 20)


@defect("file.form", "waiting")
def a_file_of_another_form(pool: Pool) -> None:
    pool.write("partners/nurses.json", b"{}")


@defect("file.signature", "waiting")
def a_changed_name(pool: Pool) -> None:
    data = pool.read("partners/nurses.json")
    pool.write("partners/nurses.json", data.replace(b"Nurses", b"Nursed"))


@defect("file.foreign", "waiting")
def a_decision_by_somebody_else(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    pool.sign_again(pool.paths.decide(seq, "south"), pool.keys["carers"], lambda body: None)


@defect("file.unknown", "note")
def an_identity_under_another_name(pool: Pool) -> None:
    pool.write("partners/nobody.json", pool.read("partners/nurses.json"))


@defect("file.unchecked", "note")
def behind_a_broken_event(pool: Pool) -> None:
    path = pool.paths.order(3)
    pool.write(path, pool.read(path).replace(b"nurses", b"nursed"))
