"""Events in a wrong order, and batches that are not what was ordered."""

from __future__ import annotations

import hashlib

from audit_defects import defect
from audit_world import Pool

from grievance.crypto.signing import SigningKey
from grievance.ledger.versions import sign_versions
from grievance.pool.batch import HEADER_SIZE, batch_digest
from grievance.pool.batch import LABEL as BATCH_LABEL
from grievance.pool.relay import make_batches
from grievance.task import make_identity


@defect("order.chain")
def an_event_that_follows_nothing(pool: Pool) -> None:
    pool.sign_again(pool.paths.order(2), pool.leader, lambda body: body.update(previous="00" * 32))


@defect("order.event")
def an_expulsion_of_nobody(pool: Pool) -> None:
    pool.without_close().append_event({"type": "expel", "partner": "nobody"})


@defect("file.unknown", "note")
def a_close_by_a_helper(pool: Pool) -> None:
    pool.without_close().append_event({"type": "close"}, pool.keys["south"])


@defect("order.closed")
def a_late_batch(pool: Pool) -> None:
    data = late_batch(pool)
    event = {"type": "batch", "partner": "carers", "batch": batch_digest(data).hex()}
    pool.append_event({**event, "rows": 1})


def late_batch(pool: Pool) -> bytes:
    from grievance.client import seal

    reports = [seal(pool.task, {"region": "North"})]
    (data,) = make_batches(pool.task, reports, pool.keys["carers"], pad_to=1)
    pool.write(pool.paths.batch("carers", batch_digest(data)), data)
    return data


@defect("order.fork")
def two_events_for_one_place(pool: Pool) -> None:
    first = pool.read(pool.paths.order(1))
    pool.sign_again(
        pool.paths.order(1), pool.leader, lambda body: body["event"].update(partner="others")
    )
    second = pool.read(pool.paths.order(1))
    pool.write(pool.paths.order(1), first)
    evidence = sign_versions(pool.paths.order(1), first, second, pool.keys["south"])
    pool.write(pool.paths.order_fork(1, "south"), evidence)


@defect("file.foreign", "waiting")
def a_second_key_for_a_partner(pool: Pool) -> None:
    pool.write("partners/nurses.json", make_identity("nurses", "Nurses", SigningKey.generate()))


# Batches.


@defect("batch.unordered", "note")
def a_batch_after_the_end(pool: Pool) -> None:
    late_batch(pool)


def a_batch_of(pool: Pool, partner: str) -> str:
    return next(path for path in pool.files() if f"/batches/{partner}-" in path)


@defect("batch.missing", "waiting")
def an_ordered_batch_is_gone(pool: Pool) -> None:
    pool.remove(a_batch_of(pool, "nurses"))


@defect("batch.digest", "waiting")
def a_changed_batch(pool: Pool) -> None:
    path = a_batch_of(pool, "nurses")
    data = bytearray(pool.read(path))
    data[len(data) // 2] ^= 1
    pool.write(path, bytes(data))


@defect("file.unknown", "note")
def a_batch_that_nobody_signed(pool: Pool) -> None:
    unsigned_batch(pool)


@defect("batch.header")
def an_ordered_batch_that_nobody_signed(pool: Pool) -> None:
    digest = unsigned_batch(pool.without_close())
    pool.append_event({"type": "batch", "partner": "nurses", "batch": digest.hex(), "rows": 7})


def unsigned_batch(pool: Pool) -> bytes:
    data = bytearray(pool.read(a_batch_of(pool, "nurses")))
    data[HEADER_SIZE - 1] ^= 1
    digest = batch_digest(bytes(data))
    pool.write(pool.paths.batch("nurses", digest), bytes(data))
    return digest


@defect("file.unknown", "note")
def a_batch_under_the_name_of_another_partner(pool: Pool) -> None:
    path = a_batch_of(pool, "nurses")
    pool.write(path.replace("/nurses-", "/carers-"), pool.read(path))


@defect("batch.rows", "note")
def a_signed_batch_of_nonsense(pool: Pool) -> None:
    payload = b"x" * (len(pool.read(a_batch_of(pool, "carers"))) - HEADER_SIZE)
    old = pool.read(a_batch_of(pool, "carers"))
    signed = old[: HEADER_SIZE - 96] + hashlib.sha256(payload).digest()
    data = signed + pool.keys["carers"].sign(BATCH_LABEL, signed) + payload
    pool.write(pool.paths.batch("carers", batch_digest(data)), data)
