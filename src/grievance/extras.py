"""What the base leaves out: the extras of `pyproject.toml`, and the line that installs one.

Workers at a terminal, auditors, relays and witnesses need the base alone. Organisations that
sign a round need `steward`: kernels for many reports, the sampler of the noise, tables.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from typing import Final

from grievance.errors import GrievanceError

PACKAGES: Final = {
    "steward": ("numba", "opendp", "pyarrow"),
    "s3": ("s3fs",),
    "sftp": ("sshfs",),
}
"""What each extra brings; a test holds it against `pyproject.toml`."""


def missing(extra: str) -> list[str]:
    """The packages of an extra that cannot be imported here; none of them is loaded."""
    return [name for name in PACKAGES[extra] if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def install_line(package: str) -> str:
    """The line to type in a shell that installs a package, such as `grievance[steward]`.

    It is for the interpreter that runs. An installation of ours that is there is kept, whether it
    came from a folder, a wheel or an index: pip and uv add what the extra brings and nothing else.
    """
    python = shlex.quote(sys.executable)
    tool = f"{python} -m pip install" if _is_there("pip") else f"uv pip install --python {python}"
    return f"{tool} {shlex.quote(package)}"


def type_this(package: str) -> str:
    """A hint: words, and on a line of its own what to type."""
    return f"type this once, then the same command again:\n{install_line(package)}"


def require(extra: str, what: str) -> None:
    """Refuse `what` where an extra is missing. Raises GrievanceError `install.extra`."""
    if absent := missing(extra):
        raise GrievanceError(
            f"{what} needs more than is installed here: {', '.join(absent)}",
            code="install.extra",
            hint=type_this(f"grievance[{extra}]"),
        )
