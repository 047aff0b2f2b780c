"""Prio3 over whole batches of reports: the same bytes as `grievance.vdaf`, many times as fast.

The only package that uses Numba. Read `grievance.vdaf` to know what is computed; read this to
know how: field elements as LLVM integers (`elements`), eight Keccak states at once (`keccak`,
`xof`), the proof for one report (`query`, `prove`), batches (`verify`, `shard`), and
`BatchPrio3`, which is what other packages call.
"""

from grievance.kernels.batch import BatchPrio3, BatchVerified
from grievance.kernels.compiler import on_compile
from grievance.kernels.shape import is_known

__all__ = ["BatchPrio3", "BatchVerified", "is_known", "on_compile"]
