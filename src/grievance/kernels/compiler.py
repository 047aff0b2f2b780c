"""How kernels are compiled: the decorators, and the moment when it happens.

A `device` function is only called by kernels and becomes a part of them. A `kernel` is called
from Python with the types it was declared for; it is compiled at its first use, kept on disk,
and runs without the interpreter's lock. An `intrinsic` writes LLVM instructions itself.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
from numba.extending import intrinsic as numba_intrinsic

from grievance.kernels import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

F = TypeVar("F", bound="Callable[..., Any]")

# Divisions by zero do not occur, and an exception for them would stand in every loop's way.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
# What is never called from Python needs no entry for it, which would take long to compile.
INSIDE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
ANNOUNCEMENT = "grievance: compiling the proof kernels, once per version: about 20 seconds"


def _to_stderr(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


_lock = threading.Lock()
_announce: Callable[[str], None] = _to_stderr
_announced = False


def on_compile(announce: Callable[[str], None]) -> None:
    """Have `announce` called with a line for people before the first compilation of a process."""
    global _announce  # noqa: PLW0603 (one hook per process, as there is one cache)
    _announce = announce


def device(function: F) -> F:
    """Compile a function that only kernels call."""
    return cast("F", numba.njit(**OPTIONS, **INSIDE)(function))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function that returns a signature and writes LLVM instructions."""
    return cast("Callable[..., Any]", numba_intrinsic(function))


class Kernel:
    """A function over whole record batches, for each of a few lists of argument types."""

    def __init__(self, function: Callable[..., Any], signatures: Sequence[tuple[Any, ...]]) -> None:
        self.name = function.__name__
        self.signatures = tuple(signatures)
        self._function = function
        self._dispatcher: Any = None
        self._ready: set[int] = set()

    def prepare(self, variant: int) -> None:
        """Load from disk or compile for `signatures[variant]`. Does nothing the second time."""
        if variant in self._ready:
            return
        with _lock:
            if self._dispatcher is None:
                self._dispatcher = numba.njit(**OPTIONS)(self._function)
                self._dispatcher._cache = cache.KernelCache(self.name, _announce_once)
            self._dispatcher.disable_compile(False)
            self._dispatcher.compile(self.signatures[variant])
            self._dispatcher.disable_compile()  # any other types are a mistake of ours
            self._ready.add(variant)

    def __call__(self, *arguments: Any) -> Any:
        """Run. The variant in use has been prepared."""
        return self._dispatcher(*arguments)

    @property
    def cache_hits(self) -> int:
        """How many variants came from disk."""
        return sum(self._dispatcher.stats.cache_hits.values()) if self._dispatcher else 0


def _announce_once() -> None:
    global _announced  # noqa: PLW0603
    if not _announced:
        _announced = True
        _announce(ANNOUNCEMENT)


def kernel(*signatures: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel for some lists of argument types; their order numbers its variants."""
    return lambda function: Kernel(function, signatures)
