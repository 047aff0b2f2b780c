"""Rounds that begin wrongly: task, cards, signatures, anchors, campaign, what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from audit_defects import defect
from audit_world import Pool

from grievance.crypto.documents import b64encode, canonical
from grievance.crypto.hpke import HpkePrivateKey


def reopen(pool: Pool, change: Callable[[dict[str, Any]], None], keep_ledger: int = 0) -> None:
    """Rewrite the last task as all its aggregators would sign it; nothing came after it."""
    folder = pool.file(pool.paths.folder)
    for name in ("order", "batches", "verify", "decide", "releases"):
        pool.remove(f"{pool.paths.folder}/{name}")
    for path in pool.files():
        if path.startswith("ledger/") and int(Path(path).name.split(".")[0]) > keep_ledger:
            pool.remove(path)
    value = json.loads(pool.task.data)
    change(value)
    data = canonical(value)
    (folder / "task.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()

    def rebind(body: dict[str, Any]) -> None:
        body["task"] = digest

    pool.sign_again(pool.paths.verify_key, pool.leader, rebind)
    for name in pool.names:
        pool.sign_again(pool.paths.signature(name), pool.keys[name], rebind)


@defect("task.form")
def a_task_with_another_encoding(pool: Pool) -> None:
    reopen(pool, lambda task: task["vdaf"].update(chunk_length=task["vdaf"]["chunk_length"] + 1))


@defect("task.plan", "waiting")
def another_plan_file(pool: Pool) -> None:
    pool.write(pool.paths.plan, pool.read(pool.paths.plan) + b"\n")


@defect("task.cards")
def another_card(pool: Pool) -> None:
    fresh = b64encode(HpkePrivateKey.generate("X25519").public.raw)
    pool.sign_again(
        pool.paths.card("south"), pool.keys["south"], lambda body: body.update(hpke=fresh)
    )


@defect("task.verify-key")
def a_verify_key_for_one_only(pool: Pool) -> None:
    pool.sign_again(pool.paths.verify_key, pool.leader, lambda body: body["sealed"].pop("south"))


@defect("task.signatures", "waiting")
def a_task_signed_by_one_only(pool: Pool) -> None:
    pool.remove(pool.paths.signature("south"))


@defect("task.trust", "unchecked")
def other_anchors(pool: Pool) -> list[str]:
    return [pool.trust[0], hashlib.sha256(b"another key").hexdigest()]


@defect("task.campaign", base="campaign")
def a_second_beginning(pool: Pool) -> None:
    def begin(task: dict[str, Any]) -> None:
        task["previous"], task["reserved"] = None, task["privacy"]["cost"]

    reopen(pool, begin, keep_ledger=1)


@defect("task.ledger", base="campaign")
def a_head_that_never_was(pool: Pool) -> None:
    reopen(pool, lambda task: task["ledger_heads"]["south"].update(root="00" * 32), keep_ledger=1)


# Costs.


def reprice(task: dict[str, Any], factor: Fraction, units: int) -> None:
    """Give every statistic another noise, with the costs that follow from it."""
    terms = task["privacy"]
    for given in terms["statistics"].values():
        sigma, cost = Fraction(given["sigma"]), Fraction(given["cost"]["zcdp"])
        other = Fraction(int(sigma * factor * units), units)
        given["sigma"] = str(other)
        given["cost"] = {
            "zcdp": str(cost * (sigma**2 - Fraction(5, 4)) / (other**2 - Fraction(5, 4)))
        }
    total = sum(Fraction(given["cost"]["zcdp"]) for given in terms["statistics"].values())
    terms["cost"] = task["reserved"] = {"zcdp": str(total)}


@defect("cost.sigma")
def noise_off_the_grid(pool: Pool) -> None:
    reopen(pool, lambda task: reprice(task, Fraction(1001, 1000), 1000))


@defect("cost.round")
def too_little_noise(pool: Pool) -> None:
    reopen(pool, lambda task: reprice(task, Fraction(99, 100), 64))


@defect("cost.lifetime")
def a_lifetime_overspent_by_one_in_a_million_millions(pool: Pool) -> None:
    def tighten(task: dict[str, Any]) -> None:
        reserved = Fraction(task["reserved"]["zcdp"])
        task["privacy"]["lifetime"] = {"zcdp": str(reserved * (1 - Fraction(1, 10**12)))}

    reopen(pool, tighten)
