"""The same tables from other libraries. Run as a program, by whichever Python has them.

stdin: JSON with "peer" and what it needs; stdout: JSON. It imports nothing of this project, so
that it can run beside versions of libraries that this project does not use.

`opendp`: OpenDP's Polars context, zCDP, one count by group for each table. Its privacy unit is
one row added or removed (`contributions=1`), and its loss is half of the rho it is given: a
replaced row is one removed and one added, which moves two cells of a table by one each, so a
table that costs rho/2 for a row added or removed costs exactly rho for a row replaced.

`mbi`: Private-PGM's mirror descent, given noisy two-way tables, their sd and nothing else.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def opendp(given: dict[str, Any]) -> dict[str, Any]:
    """Release every table of `given["tables"]`; return the noisy counts and sigma."""
    import opendp.prelude as dp
    import polars as pl

    dp.enable_features("contrib")
    frame = pl.DataFrame(given["columns"], schema=dict.fromkeys(given["columns"], pl.Int64))
    context = dp.Context.compositor(
        data=frame.lazy(),
        privacy_unit=dp.unit_of(contributions=1),
        privacy_loss=dp.loss_of(rho=given["rho"] / 2),
        split_evenly_over=len(given["tables"]),
    )
    values, scales = [], []
    for names in given["tables"]:
        keys = pl.LazyFrame({names[0]: range(given["sizes"][names[0]])})
        for name in names[1:]:
            keys = keys.join(pl.LazyFrame({name: range(given["sizes"][name])}), how="cross")
        asked = context.query().group_by(names).agg(dp.len(signed=True)).with_keys(keys)
        if not scales:  # equal for all, and slow to ask
            scales.append(float(asked.summarize()["scale"][0]))
        values.append(asked.release().collect().sort(names)["len"].to_list())
    return {"values": values, "sigma": scales[0], "version": _version("opendp")}


def mbi(given: dict[str, Any]) -> dict[str, Any]:
    """Fit a model to noisy tables; return the counts it gives to `given["wanted"]`."""
    import jax

    jax.config.update("jax_enable_x64", val=True)
    import numpy as np
    from mbi import Domain, LinearMeasurement, estimation

    domain = Domain(list(given["sizes"]), list(given["sizes"].values()))
    measured = [
        LinearMeasurement(np.array(values, dtype=float), tuple(names), stddev=sd)
        for names, values, sd in zip(given["tables"], given["values"], given["sds"], strict=True)
    ]
    model = estimation.MirrorDescent().estimate(domain, measured, iters=given["iterations"])
    values = [np.asarray(model.project(tuple(names)).datavector()) for names in given["wanted"]]
    return {"values": [one.ravel().tolist() for one in values], "version": _version("mbi")}


def _version(name: str) -> str:
    from importlib.metadata import version

    return f"{name} {version(name)}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    json.dump({"opendp": opendp, "mbi": mbi}[request["peer"]](request), sys.stdout)
