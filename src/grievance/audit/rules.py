"""Every rule of the audit: a stable name, what must hold, and what to do when it does not.

A rule's page is docs/audit/<name>.md. Names never change their meaning; programs may match
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Rule:
    """`holds` is the one sentence that must be true, `advice` the next step when it is not."""

    name: str
    holds: str
    advice: str

    @property
    def page(self) -> str:
        """Where the rule is explained, from the top of the project."""
        return f"docs/audit/{self.name}.md"


_OWNER = "Ask the owner to run `grievance sync`, which writes its own files again."
_EVIDENCE = "Keep the files as evidence, and ask the organisation that signed them."
_WAIT = "Wait until the folder has synced; if it stays, ask the organisation named."
_STOP = "Do not rely on this release; show the finding to every aggregator."

_RULES = (
    # Files.
    Rule("file.unknown", "every file is one that a party of this pool answers for",
         "Nothing: it changes no verdict. Do not open it; whoever put it there may take it away."),
    Rule("file.unread", "every file was read, whatever its name",
         "Run the audit again with `--all-files`, which reads them all."),
    Rule("file.leftover", "nothing is still on its way",
         "Wait until the folder has synced. One that stays is a crash's and may be deleted."),
    Rule("file.placeholder", "every file is here and not elsewhere",
         "Have the client fetch it, as the finding says. Leave the placeholder where it is: "
         "without it the file itself would go, for everybody."),
    Rule("file.kind", "what belongs to the pool is a plain file, no link or device", _OWNER),
    Rule("file.size", "no file of ours is larger than what its place can hold", _OWNER),
    Rule("file.read", "every file can be read",
         "Look at permissions and the disk, then run the audit again."),
    Rule("file.form", "every file is written in the one form its place has", _OWNER),
    Rule("file.signature", "every file is as its owner signed it", _OWNER),
    Rule("file.foreign", "every file is signed by the owner of its place", _OWNER),
    Rule("file.place", "every file speaks about the place where it lies", _OWNER),
    Rule("file.twice", "whoever signs something once for a place signs one version of it",
         "The files prove it by themselves: show both to everybody, and ask their author why."),
    Rule("file.unchecked", "every file could be checked",
         "Mend what the other findings name, then run the audit again."),
    # Bundles.
    Rule("bundle.digest", "every file of a bundle is the one its list names",
         "Fetch the bundle again from where it came; compare its SHA-256 with the maker's."),
    Rule("bundle.left-out", "a bundle holds every file of its pool",
         "Ask for a bundle made without `--without-batches`, or audit the pool itself."),
    Rule("audit.error", "the audit came to the end of every step",
         "Report this with the pool, if you may show it: the audit itself is at fault."),
    # The round and its parties.
    Rule("task.form", "the task is consistent and says what follows from its plan",
         "Do not send reports to this round; ask its leader."),
    Rule("task.plan", "the plan file is the one the task names", _OWNER),
    Rule("task.cards", "every key in the task is the one its owner offered for this round",
         _EVIDENCE),
    Rule("task.trustees", "the people who could stand in for one aggregator are not another's",
         "Do not send reports to this round; ask its aggregators for other trustees."),
    Rule("task.verify-key", "the leader sealed a verify key to every aggregator", _EVIDENCE),
    Rule("task.signatures", "every aggregator signed the task, before anything else happened",
         _WAIT),
    Rule("task.trust", "the keys are those that were vouched for from outside the pool",
         "Call the organisations and compare fingerprints before you believe anything else."),
    Rule("task.campaign", "every round continues the campaign by one step, on the same terms",
         _EVIDENCE),
    Rule("task.ledger", "a task names heads that the ledgers really had", _EVIDENCE),
    # Order of events.
    Rule("order.chain", "every event names the one before it", _WAIT),
    Rule("order.event", "every event is possible where it stands", _EVIDENCE),
    Rule("order.closed", "nothing is ordered that comes too late", _EVIDENCE),
    Rule("order.fork", "the leader signed one event for every place",
         "The file proves it by itself: show it to everybody, and trust this round no more."),
    # Batches.
    Rule("batch.unordered", "every batch has a place in the order",
         "Nothing, unless it stays: then ask the leader, or send the reports in a new round."),
    Rule("batch.missing", "every ordered batch is there",
         "Ask the partner for the file; without it nobody can recompute what was accepted."),
    Rule("batch.digest", "a batch is the file its name says",
         "Ask the partner to put the batch back as it was."),
    Rule("batch.header", "a batch carries its partner's signature and is as long as it says",
         _EVIDENCE),
    Rule("batch.rows", "a batch reads as rows of this round's reports",
         "Its reports do not count; ask the partner to relay them again while the round is open."),
    # What aggregators tell each other.
    Rule("verify.header", "verifier shares are sealed to every aggregator, for one batch",
         _EVIDENCE),
    Rule("verify.missing", "verifier shares came before the decision", _WAIT),
    Rule("decide.missing", "every aggregator decided every batch", _WAIT),
    Rule("decide.bits", "bits, counts and refusals of a decision say the same", _EVIDENCE),
    Rule("decide.root", "a decision's root is that of the accepted rows", _EVIDENCE),
    Rule("decide.equal", "all aggregators decided alike", _STOP),
    Rule("decide.replay", "no report is counted twice", _STOP),
    # Ledgers.
    Rule("ledger.chain", "every entry names the one before it", _EVIDENCE),
    Rule("ledger.sum", "an entry's sum is the sum before it and its own cost", _EVIDENCE),
    Rule("ledger.task", "an entry is about a round of its owner", _EVIDENCE),
    Rule("ledger.destroyed", "nothing is charged to a round whose keys are gone", _EVIDENCE),
    Rule("ledger.checkpoint", "a checkpoint is the head of the entries beside it", _EVIDENCE),
    Rule("ledger.cosignature", "all other aggregators cosigned an entry before a share went out",
         _WAIT),
    Rule("ledger.quorum", "enough witnesses saw what a release costs before a share went out",
         "Ask the witnesses named to run `grievance sync`; if one is gone, every aggregator runs "
         "`grievance release waive`."),
    Rule("ledger.alone", "a lost memory is rebuilt with the answers of witnesses",
         "Ask the organisation what it had released before, and whether others remember the same."),
    Rule("ledger.fork", "a ledger has one head of every size",
         "The file proves it by itself: show it to everybody, and trust this ledger no more."),
    # Costs.
    Rule("cost.sigma", "noise is a multiple of 1/64 and not below the floor", _STOP),
    Rule("cost.statistic", "a statistic costs what its sensitivity and noise make it cost", _STOP),
    Rule("cost.round", "a round costs no more than its epsilon and delta allow", _STOP),
    Rule("cost.lifetime", "a campaign costs no more than its lifetime allows", _STOP),
    # Releases.
    Rule("release.proposal", "what is released was proposed by an aggregator", _EVIDENCE),
    Rule("release.approval", "every aggregator approved a release before it was ordered",
         _WAIT),
    Rule("release.order", "the leader ordered what was charged and published", _WAIT),
    Rule("release.root", "a release is over the reports that were accepted", _STOP),
    Rule("release.minimum", "no release is over fewer reports than the plan's minimum", _STOP),
    Rule("release.entry", "every aggregator charged the release on the terms approved", _WAIT),
    Rule("release.twice", "no statistic of a round is released twice", _STOP),
    Rule("release.share", "a noisy share is the one its ledger entry names", _WAIT),
    Rule("release.suspect", "the accepted reports and the noise can explain every total", _STOP),
    Rule("release.sum", "a published file says what follows from the task and the noisy shares",
         "Do not use the published file; export the release again from the pool."),
)  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _RULES})
