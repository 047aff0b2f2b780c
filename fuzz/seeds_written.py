"""Seeds of what people write, and of what lies in an organisation's own folder."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz.texts import MAPPED
from fuzz.world import (
    PLAN,
    ROUND,
    SET,
    hpke_key,
    secret,
    signing_key,
    world,
)
from grievance.crypto import keys
from grievance.crypto.documents import b64encode, canonical
from grievance.secret import StateKey

if TYPE_CHECKING:
    from fuzz.seeds_signed import Seeds


def _wants() -> list[tuple[str, str]]:
    """A statistic of the plan with every form that its kind allows."""
    found = []
    for name, statistic in world().task.plan.statistics.items():
        forms = ["0.5", "mean=0.25"] if statistic.kind == "mean" else ["3pp", "25", "diff=5pp"]
        found += [(name, form) for form in forms]
    return found


def written() -> Seeds:
    """Plans, mappings, tables, wants, answers."""
    header, rows = b"region,problems,hours\n", b"London,overtime,1\nWales,,\n"
    quoted = b'\xef\xbb\xbf"region";"problems";"hours"\r\n"London";"targets";2\r\n'
    return {
        "plan": [PLAN.encode(), _bigger_plan()],
        "plan-json": [canonical(world().task.plan.to_json())],
        "mapping": [MAPPED.encode(), b'[fields.problems]\nseparator = ";"\nnothing = "none"\n'],
        "csv": [header + rows, quoted],
        "csv-mapped": [b"Q1;Q2;Q3;Q4\n1;true;false;1,4\n\n2;;;\n"],
        "groups-csv": [b"field,label,expected\nregion,London,400\nregion,Wales,12.5\n"],
        "groups-toml": [b"[region]\nLondon = 400\nWales = 12.5\n"],
        "want": [f"{name}:{how}".encode() for name, how in _wants()],
        "replies": [b'{"region":"1","problems":"1; 2","hours":"2"}', b'{"region":"wales"}'],
        "answers": [b'{"region": "London", "problems": ["targets"], "hours": 1.0}'],
    }


def _bigger_plan() -> bytes:
    from grievance.testing import EXAMPLE_PLAN

    return EXAMPLE_PLAN.encode()


def kept() -> Seeds:
    """Key files and settings of a home, and a test vector."""
    found: Seeds = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        keys.write_identity(place / "identity", signing_key("north"))
        keys.write_hpke_key(place / "hpke-key", hpke_key("north"))
        keys.write_verify_key(place / "verify-key", world().verify_key)
        keys.write_state_key(place / "state-key", StateKey(secret("state")))
        for path in place.iterdir():
            found[f"key-file-{path.name}"] = [path.read_bytes()]
    note = {
        "name": "north",
        "display_name": "North",
        "pool": "/nowhere",
        ROUND: ["nurses"],
        "set": SET,
        "document": world().backup.data.decode(),
        "number": 1,
        "contents": "0" * 64,
        "paths": ["identity.pem"],
        "keep_from": 1,
        "sweep_others": False,
    }
    known = {"north": b64encode(signing_key("north").public.raw)}
    found["home"], found["home-known"] = [json.dumps(note).encode()], [json.dumps(known).encode()]
    return {**found, "vdaf-vector": [_vector()]}


def _vector() -> bytes:
    """A test vector of a small circuit: one block of two bits, sharded once."""
    from grievance.vdaf import Prio3BlockCountVec
    from grievance.vdaf.block_count_vec import Block

    vdaf = Prio3BlockCountVec(2, [Block(length=2, max_weight=1)], 2)
    nonce, rand = secret("nonce", 16), secret("rand", vdaf.RAND_SIZE)
    public, shares = vdaf._shard_with_rand(b"ctx", [1, 0], nonce, rand)
    report: dict[str, Any] = {
        "nonce": nonce.hex(),
        "rand": rand.hex(),
        "measurement": [1, 0],
        "public_share": vdaf.encode_public_share(public).hex(),
        "input_shares": [vdaf.encode_input_share(share).hex() for share in shares],
    }
    vector = {
        "ctx": b"ctx".hex(),
        "agg_param": "",
        "shares": 2,
        "chunk_length": 2,
        "blocks": [{"length": 2, "max_weight": 1}],
        "verify_key": secret("key").hex(),
        "operations": [{"operation": "shard", "report_index": 0, "success": True}],
        "reports": [report],
    }
    return json.dumps(vector).encode()
