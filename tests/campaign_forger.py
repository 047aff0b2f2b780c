"""Tasks of a campaign written by hand: what a dishonest leader can put into a pool."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from federation import NAMED_PLAN, Federation
from grievance import task as tasks
from grievance.crypto.documents import canonical
from grievance.crypto.hpke import HpkePrivateKey
from grievance.plan import Plan
from grievance.pool.layout import RoundPaths
from grievance.secret import VerifyKey
from grievance.task import Identity, Task
from grievance.testing import make_cards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey


class Forger:
    """Writes tasks into a pool with whatever keys it has."""

    def __init__(self, federation: Federation) -> None:
        self.store = federation.leader.store
        self.keys = {name: home.key for name, home in federation.homes.items()}
        self.made = 0

    def task(
        self,
        parties: Sequence[str],
        previous: Task | None,
        *,
        signers: Sequence[str] | None = None,
        keys: dict[str, SigningKey] | None = None,
        **changed: Any,
    ) -> Task:
        """A task of these parties in the pool, signed by them all unless said otherwise."""
        self.made += 1
        round_id = f"trial-{self.made:08x}"
        by = self.keys | (keys or {})
        members = [Identity(name, name.capitalize(), by[name].public) for name in parties]
        cards = make_cards(
            [(by[name], HpkePrivateKey.generate("X25519").public) for name in parties],
            round_id=round_id,
            plan_sha256=hashlib.sha256(NAMED_PLAN).digest(),
            members=members,
        )
        data = tasks.build_task(
            Plan.from_toml(NAMED_PLAN),
            cards,
            VerifyKey.generate(),
            round_id=round_id,
            previous=previous,
        )
        task = tasks.parse_task(canonical(json.loads(data) | changed))
        paths = RoundPaths(round_id)
        self.store.put(paths.task, task.data)
        for name in parties if signers is None else signers:
            self.store.put(paths.signature(name), tasks.sign_task(task, by[name], name))
        return task
