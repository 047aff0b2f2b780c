"""Labelled places before and after every durable step, where a test can end the process.

A program that must survive a power cut has to be stopped at each moment at which a cut would
tell: before and after every commit, rename and flush. `failpoint(label)` marks such a moment.
It does nothing unless GRIEVANCE_FAILPOINT says `label:count:action`: when this process reaches
the label for the count-th time, it is killed (`kill`: SIGKILL, nothing is tidied up), or meets a
disk that is full (`full`: OSError ENOSPC) or fails (`io`: OSError EIO).

Is that an attack surface? Whoever can set a process's environment can load code into it, and
whoever runs as its user can kill it at any instant. This variable gives less than that, and it
is kept so: an action ends the process, or raises an error which the operating system could have
raised at that very place. It never skips a step, never makes a check pass, changes no value and
reads nothing. That holds because no failpoint lies inside a block that ignores OSError. What is
left is a way to make a command fail for someone who could make it fail anyway.

Source: docs/threats.md, section 4.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from typing import Final, NoReturn

from grievance.errors import UsageError

VARIABLE: Final = "GRIEVANCE_FAILPOINT"
ACTIONS: Final = ("kill", "full", "io")

LABELS: Final = {
    # Files of the pool, whoever writes them.
    "pool.put.begin": "nothing is written yet",
    "pool.put.opened": "the temporary file is there and empty",
    "pool.put.written": "the temporary file is whole and flushed, before the rename",
    "pool.put.renamed": "the file has its name, the folder is not flushed",
    "pool.put.done": "the folder is flushed",
    "pool.delete.begin": "the file is still there",
    "pool.delete.done": "the file is gone and the folder flushed",
    "remote.put.begin": "before the one PUT of a remote pool",
    "remote.put.done": "after it",
    "remote.delete.begin": "before a remote file is removed",
    "remote.delete.done": "after it",
    # Files of an organisation's own folder.
    "init.folder": "the organisation's folder is there and empty",
    "key.begin": "a key is drawn, nothing is written",
    "key.written": "the temporary key file is whole and flushed, before it gets its name",
    "key.linked": "the key file has its name, the temporary one is still there",
    "key.done": "the folder is flushed",
    "settings.written": "new settings are whole in a temporary file, before the rename",
    "settings.renamed": "the settings are replaced, the folder is not flushed",
    # Files a person asked for.
    "file.opened": "the temporary file is there and empty",
    "file.written": "the temporary file is whole and flushed, before the rename",
    "file.renamed": "the file has its name",
    "seal.written": "a table is sealed whole in a hidden folder, nothing is remembered",
    "seal.remembered": "its rows are remembered, its files have not their names yet",
    "seal.moving": "one of its files has its name",
    "seal.moved": "all of them have, the sealing is not marked done",
    "seal.done": "it is marked done",
    "export.written": "an export is whole in a folder beside its place",
    "export.aside": "the earlier export is moved aside, the new one not yet in its place",
    "export.moved": "the new export is in its place",
    # The aggregator's state.
    "state.created": "the state file is there and empty",
    "state.commit.before": "all is written inside a transaction, nothing is committed",
    "state.commit.after": "committed, and nothing done with it yet",
    "state.compact.before": "deleted rows may lie in free pages",
    "state.compact.vacuumed": "the file is rewritten, the log not cut",
    "state.compact.after": "the log is cut",
    # Steps inside one transaction each; a cut leaves nothing of them.
    "round.spooled": "plan and leader's card",
    "join.spooled": "a helper's card",
    "task.spooled": "the task with the sealed verify keys and the leader's signature",
    "sign.spooled": "a helper's signature",
    "order.spooled": "an event of the order chain",
    "verify.burnt": "nonces are burnt, the verifier shares not spooled",
    "verify.spooled": "verifier shares are spooled, the sum not stored",
    "decide.spooled": "the decision is spooled, the accepted nonces not stored",
    "decide.stored": "decision, nonces and sum",
    "propose.spooled": "the proposal is spooled, the proposer's approval not",
    "answer.spooled": "an approval or a refusal",
    "waive.spooled": "a waiver of witnesses",
    "charge.drawn": "the noise is drawn, nothing is stored",
    "charge.stored": "ledger entry and noisy share are stored, nothing is spooled",
    "charge.spooled": "entry and checkpoint are spooled, the share sealed to us not",
    "witness.stored": "a peer's head is stored, the cosignature not spooled",
    "asked.answered": "our answer about a ledger that we watch",
    "asked.heard": "our memory is confirmed from outside",
    "recover.alone": "the entry that says that we recovered alone is stored, nothing is spooled",
    "share.spooled": "the noisy share",
    "relay.remembered": "batches and their digests are stored, nothing is put",
    "destroy.marked": "sums and shares are deleted, the entry is not stored",
    "recover.kept": "one of our own files is back in the spool",
    # Steps between transactions.
    "publish.put": "a spooled file is in the pool, and the state does not know it",
    "relay.moved": "a file of reports has its new place, the folders are not flushed",
    "relay.deleted": "one file of reports is deleted, others are there",
    "destroy.overwritten": "a key file is overwritten and still there",
    "destroy.unlinked": "a key file is gone",
    "destroy.keyless": "all key files are gone, the state is not compacted",
    "asked.noted": "our question about our ledger is in the home, the pool does not hold it",
    "recover.rebuilt": "the new state is whole under its temporary name",
    "recover.renamed": "the new state has its name",
    # Backups.
    "backup.archived": "the archive is in the pool, its set perhaps not",
    "backup.published": "archive and set are in the pool, the home does not know them",
    "backup.noted": "the home knows the archive, older ones are not deleted",
    "request.keyed": "a request's key is on disk, the request not",
    "request.noted": "key and request are on disk, the pool does not hold it",
    "request.forgotten": "the request is gone, its key not",
    "request.overwritten": "the request's key is overwritten and still there",
    "rehearsal.recorded": "the record is in the pool, older backups are not let go",
    "restore.identity": "the identity is written and checked, other keys are not",
    "restore.keys": "all key files are written, the folder is no home yet",
    "restore.home": "the folder is a home, the request is not forgotten",
}
"""Every label and what is true there. Each occurs once in the sources; a test holds that."""

_reached: Counter[str] = Counter()


def failpoint(label: str) -> None:
    """Go on, unless GRIEVANCE_FAILPOINT says that this is where the process fails.

    Raises OSError for the actions `full` and `io`, UsageError when the variable does not read.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted is not None:
        _reach(label, wanted)


def _reach(label: str, wanted: str) -> None:
    """Count a label, and fail where `wanted` says so."""
    name, count, action = _parse(wanted)
    if label != name:
        return
    _reached[label] += 1
    if _reached[label] == count:
        _fail(action)


def _parse(wanted: str) -> tuple[str, int, str]:
    name, _, rest = wanted.partition(":")
    count, _, action = rest.partition(":")
    if name not in LABELS or action not in ACTIONS or not count.isdecimal() or int(count) < 1:
        raise UsageError(
            f"{VARIABLE} is not label:count:action",
            code="failpoint",
            hint=f"it is for tests of power cuts alone; unset {VARIABLE}",
        )
    return name, int(count), action


def _fail(action: str) -> NoReturn:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    number = errno.ENOSPC if action == "full" else errno.EIO
    raise OSError(number, os.strerror(number))
