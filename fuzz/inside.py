"""The process in which one target is fuzzed: `python -m fuzz.inside TARGET INPUTS SECONDS FOUND`.

Atheris counts which branches are taken in modules that are imported under its eye, so our
package is imported here and nowhere before.
"""

from __future__ import annotations

import sys

try:
    import atheris
except ImportError:
    raise SystemExit("atheris is missing: pip install 'grievance[fuzz]'") from None

with atheris.instrument_imports(include=["grievance"]):
    from fuzz.contract import MAX_SECONDS, judge
    from fuzz.mutate import MAX_SIZE, Choices, change
    from fuzz.seeds import seeds
    from fuzz.targets import TARGETS

MEMORY_MIB = 2048


def main(name: str, inputs: str, seconds: str, found: str) -> None:
    """Fuzz until the time is over or something is found. Does not return."""
    target, others = TARGETS[name], seeds()[name]

    def one(data: bytes) -> None:
        judge(target, data)

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        choices = Choices.from_seed(seed)
        if choices.below(3) == 0:
            return bytes(atheris.Mutate(data, max_size))
        return change(data, others, target.form, choices)[:max_size]

    for data in others:  # fill caches before time and memory are measured
        target.run(data)
    flags = [
        *(sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MAX_SIZE}", "-seed=1"),
        *(f"-timeout={5 * int(MAX_SECONDS)}", f"-rss_limit_mb={MEMORY_MIB}"),
        *(f"-artifact_prefix={found}/", inputs),
    ]
    atheris.Setup(flags, one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
