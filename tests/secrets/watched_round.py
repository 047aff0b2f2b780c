"""A whole round typed under watch: `python watched_round.py FOLDER [--leaky]`.

Runs alone in a process, because what it hangs itself into cannot be taken off again: an audit
hook on every file that is opened, every logger, every exception the library makes, and the
places where secrets come into being. It writes FOLDER/found.json: what leaked, and how much was
looked at. `--leaky` puts a leak into every channel, to show that each would be noticed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from watch import KEY_FILES, Watch
from watch_hooks import record_channels, record_secrets

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "cli")]


def main(folder: Path, *, leaky: bool) -> None:
    """Run the round and write what was found."""
    for name in ("tmp", "cwd", "inputs", "pool", "homes"):
        (folder / name).mkdir(parents=True)
    os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ.pop("GRIEVANCE_PASSPHRASE", None)
    os.chdir(folder / "cwd")
    # Loaded before the hooks: what Python itself opens is not ours.
    for name in ("cli.app", "pipelines.rows", "privacy", "aggregator", "release", "audit"):
        importlib.import_module(f"grievance.{name}")

    watch = Watch(folder)
    record_channels(watch)
    record_secrets(watch)
    if leaky:
        import leaks

        leaks.plant(watch)
    import watched_steps
    from watched_typist import Typist

    watched_steps.play(Typist(watch))
    watch.files()
    watch.judge()
    found = {
        "leaks": sorted({(leak.channel, leak.where, leak.kind, leak.form) for leak in watch.leaks}),
        "secrets": watch.vault.counts,
        "looked_at": watch.counts,
        "opened": watch.opened,
        "outside": sorted(
            path
            for path in watch.written
            if not Path(path).is_relative_to(folder) and path != "/dev/null"
        ),
        "modes": {
            str(path.relative_to(folder)): f"{path.stat().st_mode & 0o777:03o}"
            for path in folder.rglob("*")
            if path.name in KEY_FILES or path.name.startswith("state.sqlite")
        },
    }
    (folder / "found.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), leaky="--leaky" in sys.argv)
