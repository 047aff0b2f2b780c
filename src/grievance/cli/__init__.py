"""The command line: errors to words and exit codes, one file per person."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the `grievance` command."""
    from grievance.cli.app import run

    run()


__all__ = ["main"]
