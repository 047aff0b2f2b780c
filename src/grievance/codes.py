"""Every stable code of an error: the type that has it, whether it means "wait", and what it says.

docs/developer/errors.md is made from this table, and a test reads the source for codes: none is
raised that is not here, none is here that is not raised, and each has one type. The audit's rules
are no errors; they have a table of their own (`audit.rules`), as have the public reasons for which
a report does not count (`pool.decisions.Status`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TABLE: Final = """\
accept.mismatch ReleaseError the aggregators accepted different reports
answers AnswerError these are no answers to this plan
answers.cell AnswerError a cell of a table cannot be read as an answer
answers.choice AnswerError this is not one of the choices
answers.far AnswerError the number lies so far outside of its limits that it is not cut to them
answers.field AnswerError the plan has no such question
answers.file UsageError --answers names a file, and none is there
answers.kind AnswerError an answer, or all of them, are of the wrong kind
answers.number AnswerError this is no number
answers.pick AnswerError these are more choices than may be ticked
answers.range AnswerError the number lies outside of its limits
answers.reply AnswerError what was typed does not answer the question
answers.required AnswerError a question that needs an answer has none
answers.step AnswerError the number lies between two steps
answers.syntax UsageError this is no JSON object of answers
answers.twice AnswerError a choice is ticked twice
answers.unknown AnswerError a field is named that the plan does not have
audit.newer UsageError what --newer-than names holds no head of this pool
backup.answer PoolError an answer of a trustee has not the form of one
backup.archive PoolError an archive of key files is not there, or does not read
backup.differs StateError what a backup gives back is not what lies here
backup.fingerprint TrustError this is not the fingerprint of the request
backup.identity StateError the identity that came back is not the one in the pool
backup.key PoolError the pieces make another key than the one that the archive was sealed with
backup.missing UsageError this organisation has no backup of its keys
backup.pending StateError what was remembered of a request is damaged
backup.piece PoolError a sealed piece is not the one that the backup names
backup.rehearsed PoolError the note of a rehearsal has not the form of one
backup.request PoolError a request for a backup has not the form of one
backup.set PoolError a backup has not the form of one
backup.size PoolError there are too many key files for one archive
backup.threshold UsageError so many of these trustees cannot be asked for
backup.trustees PoolError trustees must be different organisations, and others than the owner
backup.unknown PoolError the pool has no backup of this organisation that its key signed
backup.waiting PoolError too few trustees have answered so far
backup.which UsageError several requests fit
backup.wrong PoolError trustees sent something else than their pieces
batch BatchError this is no batch of reports
batch.digest BatchError the batch is not the one that was signed, or has changed
batch.malformed BatchError the batch does not read as rows of reports
batch.missing BatchError a batch has not arrived whole
batch.rows BatchError a batch has another number of reports than may be
batch.short BatchError the batch is cut short
batch.signature BatchError the relay's signature does not hold
batch.size BatchError the batch is not as long as its header says
batch.task BatchError the batch belongs to another round
batch.version BatchError the batch is of a version that is not known here
budget BudgetExceededError the filter refuses: nothing is released, nothing is spent
budget.lifetime TaskError the campaign's budget cannot pay for another such round
bundle.archive PoolError an archive cannot be read
bundle.changed PoolError a file of the pool changed while it was put into a bundle
bundle.exists UsageError there is a file where the bundle would go
bundle.fixed PoolError a bundle cannot be changed
bundle.left-out PoolError the bundle was made without its batches
bundle.manifest PoolError what a bundle says of its files does not read, or does not hold
bundle.write PoolError the bundle cannot be written
consent.changed TaskError something else lies in the place of what was agreed to; nothing is signed
consent.name TaskError an organisation is called otherwise than it calls itself
consent.twice TaskError we have a card for this round already, on other terms
cost.amount PrivacyError a cost is an exact fraction, and not negative
cost.kind PrivacyError costs of two kinds, or of none that there is
cost.syntax PrivacyError this does not read as a cost
crypto CryptoError keys or signatures are not what they should be
decide.batch PoolError a decision is about another batch
decide.elsewhere SignatureError a signed decision of another place lies in this one
decide.fault PoolError an aggregator signed a decision that cannot be
decide.syntax PoolError this is not a decision about a batch
destroy.pending StateError the round still needs its keys
document.base64 WireError this is not base64url without padding
document.canonical WireError this JSON is not in its canonical form
document.depth WireError this JSON is nested too deeply
document.duplicate WireError a key appears twice in one object
document.field WireError a field is missing, unknown, or of the wrong kind
document.integer WireError a whole number is beyond 2^53 - 1
document.kind WireError this is another kind of document
document.number WireError numbers are whole here
document.signer SignatureError the document is signed by somebody else
document.size WireError the document is larger than it may be
document.syntax WireError this is no signed document
document.value WireError a value has no place in a document
failpoint UsageError the variable for tests of power cuts does not read
file.kind PoolError this is not a plain file
file.read PoolError a file cannot be read
file.size PoolError a file is larger than its place can hold
file.twice PoolError somebody signed two versions of one file; both are kept
fingerprint CryptoError this is no fingerprint
grievance GrievanceError something is wrong that has no code of its own
home.damaged StateError a file of the organisation's own folder is damaged
home.exists UsageError the folder belongs to an organisation already
home.missing UsageError there is no organisation in this folder
home.name PoolError somebody in this pool has this name already
home.place UsageError the organisation's own folder lies in the pool, or the pool in it
home.pool UsageError this is not the pool of this organisation
install.extra GrievanceError a package is not installed that this needs
key.exists KeyFileError there is a key file already; none is overwritten
key.file KeyFileError a key file cannot or must not be used
key.length KeyFileError a private key has another length
key.missing KeyFileError there is no such key file
key.mode KeyFileError a key file can be touched by others
key.owner KeyFileError a key file belongs to another user
key.passphrase KeyFileError the passphrase does not open the key file
key.regular KeyFileError a key file is not a regular file
key.symlink KeyFileError a key file is a symbolic link
key.syntax KeyFileError a key file does not read
key.type KeyFileError a key file holds a key of another type
ledger LedgerError an entry does not extend the ledger
ledger.asked LedgerError a question about heads, or an answer, has not the form of one
ledger.budget LedgerError a ledger would have charged more than there is
ledger.chain LedgerError an entry does not follow the one before it
ledger.checkpoint LedgerError a checkpoint is not about the entries beside it
ledger.cosignature LedgerError this is not that witness's cosignature
ledger.destroyed LedgerError an entry is about a round that was destroyed before
ledger.event LedgerError an entry is about nothing that we know
ledger.fork LedgerError somebody signed two heads of one size of a ledger
ledger.own StateError our own ledger in the pool does not read
ledger.owner LedgerError an entry is another aggregator's
ledger.rewritten LedgerError a ledger does not extend the head of it that we cosigned
ledger.rollback StateError our own ledger is behind what the pool has of it
ledger.signer SignatureError a note is signed by somebody else
ledger.sum LedgerError an entry's sum is wrong
ledger.syntax LedgerError this is no entry of a ledger
ledger.twice LedgerError a statistic is charged a second time
mapping MappingError the mapping is wrong, or the table has not what it names
mapping.file MappingError the mapping file cannot be read
mapping.partner MappingError a cell of the partner column names no partner
mapping.separator MappingError several choices in one cell need a separator
mapping.syntax MappingError the mapping is no TOML that we read
mapping.value MappingError a key of the mapping is unknown, or its value wrong
merkle CryptoError this is no root or proof of such a tree
name UsageError this is not a name
noisy.share ReleaseError a noisy share has not the form of one
order OrderError the leader signed an event that cannot stand where it stands
order.batch UsageError this batch was not given up, or has a new place already
order.chain OrderError an event does not follow the one before it
order.closed OrderError an event comes after the round was closed
order.fork OrderError the leader signed two events for one place
order.void OrderError the leader voided a batch that all aggregators had checked
partner.mailbox PoolError an organisation has no mailbox that carries its signature
partner.missing PoolError nobody in this pool has this name
partner.name PoolError a partner's file is about somebody else
partner.syntax PoolError a partner's file does not read
period.closed PoolError the round is closed
plan PlanError the plan breaks a rule
plan.aggregators TaskError two aggregators share a key or a card, or there are too few
plan.block PlanError a field or a statistic is larger than a report can hold
plan.budget PlanError the privacy terms cannot be
plan.envelope PlanError there is no such way to seal reports
plan.field PlanError a field is asked and not used, or used and not there
plan.file PlanError the plan file cannot be read
plan.key CryptoError this is no usable public key
plan.label PlanError a text deceives the eye, or is too long or too short
plan.name PlanError this is no name for a field or a statistic
plan.number PlanError the numbers of a field do not fit each other
plan.period PlanError the dates cannot be
plan.signer SignatureError the signature is not by the identity key of an aggregator
plan.statistic PlanError a statistic cannot be made of these fields
plan.syntax PlanError the plan is no TOML that we read
plan.version PlanError the plan is of another version, or has an unknown key
plan.witnesses PlanError these witnesses, or so many of them, cannot be
pool PoolError something is wrong with the pool or a file in it
pool.behind PoolError* the pool has less than we saw in it before
pool.delete PoolError a file of the pool cannot be deleted now
pool.denied PoolError the server of the pool refuses us
pool.evidence PoolError what looks like evidence of two versions proves nothing
pool.host-key PoolError nobody has vouched here for the key of this server
pool.inside UsageError this would lie in the pool, which everybody reads
pool.kind PoolError this is no regular file
pool.link PoolError a folder of the pool is a symbolic link
pool.missing PoolError there is no pool
pool.path PoolError this is no path of a pool
pool.place PoolError something else stands where a file of the pool belongs
pool.read PoolError the pool, or a file of it, cannot be read now
pool.readonly PoolError the pool is read-only for this user
pool.rename PoolError in this folder a file does not take another's place
pool.short PoolError a file has become shorter while it was read
pool.size PoolError a file of the pool is larger than it may be
pool.url PoolError this does not name one pool
pool.waiting PoolError* something of the pool has not arrived yet
pool.write PoolError the pool cannot be written now
privacy PrivacyError noise or sensitivity would break the promise
privacy.block PrivacyError a table has no such shape
privacy.budget PrivacyError a budget is no cost, or nothing
privacy.draw PrivacyError the sampler returned something else than noise
privacy.exact PrivacyError this must be an exact fraction
privacy.law PrivacyError there is no such law of noise
privacy.map PrivacyError the sampler states another cost than is charged
privacy.mechanism PrivacyError there is no such mechanism
privacy.promise PrivacyError this cost does not keep this promise
privacy.range PrivacyError this is out of range
privacy.scale PrivacyError there is no noise of such a scale
privacy.shape PrivacyError this is no shape of a statistic
receipt UsageError this is neither a receipt nor a report
recover.alone StateError nobody who watches our ledger could be asked
recover.batch StateError a batch that we checked is gone from the pool
recover.differs StateError what lies in the pool is not what we would publish today
recover.ledger StateError somebody holds a head of our ledger that we do not have
recover.state UsageError there is a state here already
recover.told UsageError this is no head as people read it out
recover.waiting StateError* somebody who watches our ledger has yet to answer
relay.file UsageError there is no report in what was named
relay.hour UsageError this is no hour of the day
relay.memory StateError this home may have passed reports on that it does not remember
relay.move ReportError a file of reports cannot be moved or deleted
relay.spool UsageError what was named is no folder
release ReleaseError a release must not happen, or does not add up
release.answered ReleaseError we have answered already, and an answer stands
release.approval ReleaseError an answer to a release does not hold, or one is missing
release.axis ReleaseError the table has no such axis
release.changed ReleaseError the proposal is another one than was shown; nothing is signed
release.early ReleaseError* the round is not closed, or not everything is decided
release.field ReleaseError a field of release.json is not what follows from the others
release.file ReleaseError the file cannot be read as a release.json
release.folder ReleaseError this folder cannot be read, or must not be written
release.format ReleaseError there is no such format
release.id ReleaseError this is no id of a release
release.label ReleaseError the table has no such cell
release.made-from ReleaseError made-from.json does not read
release.minimum ReleaseError fewer reports count than the plan asks for
release.missing ReleaseError there is no such release yet
release.name ReleaseError there is no such statistic in this release
release.open ReleaseError another release that is not answered has some of these statistics
release.package ReleaseError a package for data frames is not installed
release.peer ReleaseError another aggregator's ledger does not hold, so nothing is charged
release.plot ReleaseError there is no such figure to draw
release.proposal ReleaseError a proposal does not hold
release.quantile ReleaseError this is no quantile
release.root ReleaseError the release is about another set of reports
release.shape ReleaseError the numbers are not those of this statistic
release.share ReleaseError a noisy share is not the one that was charged
release.shares ReleaseError the noisy shares of all aggregators must be named
release.statistic ReleaseError the plan has no such statistic
release.task ReleaseError the release is of another task
release.terms ReleaseError an aggregator charged its ledger on other terms than were approved
release.twice ReleaseError a statistic is released once in a round
release.waiting ReleaseError* a release is not complete yet
release.waive ReleaseError there is nothing to waive
release.waiver ReleaseError a waiver does not hold
release.which ReleaseError several releases fit
release.witnesses ReleaseError witnesses are named that the plan does not have
report ReportError a sealed report is refused
report.commitment ReportError what is sealed in a report belongs to another one
report.file ReportError a file does not read as reports of this round
report.open OpenError a ciphertext does not open: wrong key, wrong context, or altered
report.size ReportError a report has another size than those of this round
report.task ReportError a report belongs to another round
report.write ReportError a file of reports cannot be written
round.expelled PoolError this partner was expelled from the round
round.invitations TrustError two leaders invite us to one round
round.leader UsageError this is for the leader of the round
round.member UsageError the invitation does not name this organisation
round.missing UsageError there is no such round, or we have not signed it
round.stage RoundChoiceError none of several rounds is at the stage for this
round.waiting UsageError* the round is not open yet
round.which RoundChoiceError several rounds fit what was typed
seal.again StateError rows were sealed before; sealed again they count twice
seal.busy StateError another process seals for this round
seal.memory StateError the memory of who was sealed cannot be used
shape ShapeError a vector or byte string of the wrong length: a mistake in the calling code
signature SignatureError a signature is missing, or does not hold
stage.failed UsageError a step of a story that is played was not done whole
state StateError our own state cannot be used
state.alone StateError we recovered without asking anybody, and nobody has confirmed it since
state.behind StateError our state is behind what the pool has with our signature
state.busy StateError another program has the state open
state.damaged StateError our state is damaged
state.kernels StateError the fast path and the reference compute different bytes
state.lock StateError files cannot be locked where the organisation's folder lies
state.open OpenError what was kept does not open with this key
state.order StateError an event that we signed is gone
state.twice StateError we have published other bytes for this place
state.verify-key StateError our verify key is not the one that the task commits to
state.version StateError our state was written by another version
state.workers StateError the processes that check reports have stopped
state.write StateError our state cannot be written
system GrievanceError the system refused a file, a disk or a connection
system.memory GrievanceError the machine has not enough free memory
table.changed MappingError the table changed while it was read
table.column MappingError the table has not the columns that the mapping names
table.delimiter MappingError it cannot be told what separates the columns
table.encoding MappingError the table is in another encoding
table.quotes MappingError quotes do not close
table.read MappingError the table cannot be read
table.row RowsRefusedError a row of a table does not read
table.rows RowsRefusedError rows of a table do not fit the plan
table.type MappingError a column holds values of a kind that is no answer
task TaskError a task must not be signed or used
task.campaign TaskError the task does not continue its campaign
task.card TaskError a card, or an invitation, does not hold
task.commitment TaskError a verify key is not the one that the task commits to
task.envelope TaskError a key is for another envelope than the plan's
task.field TaskError the task does not say what follows from its plan
task.key TaskError a key in a task, a card or an identity is no usable one
task.ledger TaskError the task names a state of a ledger that never was
task.mailbox TaskError a mailbox does not hold
task.mechanism TaskError the campaign has other noise
task.member TaskError the invitation does not name us
task.missing TaskError there is no such task file
task.name TaskError this is not the name of an organisation
task.plan TaskError this is not the plan that the task names
task.previous TaskError the task follows another one than the last round's
task.reserved TaskError the task does not reserve what the campaign has used
task.round TaskError the task has an id that cannot be
task.signature SignatureError a signature belongs to another task
task.trustees TaskError the trustees could act as an aggregator that is not theirs
task.twice TaskError an aggregator signed another task for this round
task.unsigned SignatureError the task lacks signatures
task.verify-key TaskError a sealed verify key does not hold
task.version TaskError the round speaks another version of the VDAF
task.witnesses TaskError an aggregator of the round is named as a witness of it
trust TrustError nobody vouched for these keys
trust.changed TrustError an organisation has another key now than the one that was compared
trust.fingerprint TrustError a key is not the one that you were told
trust.mismatch TrustError what you trust is neither this task nor one of its aggregators
trust.none TrustError nothing says that these are the right aggregators
trust.partial TrustError nothing says that the keys of some aggregators are theirs
trust.short TrustError this is only the beginning of a digest
trust.syntax TrustError this is no digest and no fingerprint
trust.unknown TrustError nobody here has compared this key
usage UsageError this cannot be carried out as typed
usage.answers UsageError there is nobody to ask for answers
usage.consent UsageError this needs a person's consent, and nobody is at the keyboard
usage.declined UsageError a person said no; nothing was done
usage.exists UsageError there is something where this would go
usage.expelled UsageError this partner was expelled, and that stands
usage.fingerprint UsageError the fingerprint must come from people, and nobody is at the keyboard
usage.groups UsageError the groups do not read
usage.party UsageError nobody in this pool is called so
usage.relay UsageError this partner relays nothing into the round
usage.request UsageError there is no request that this organisation could answer
usage.want UsageError what is wanted of a plan does not read
usage.workers UsageError there must be at least one process
usage.write UsageError the file cannot be written
vdaf VdafError Prio3 refuses this report
vdaf.joint-rand ProofError the joint randomness does not hold
vdaf.measurement VdafError this is no measurement of the circuit
vdaf.modulus WireError a share is not reduced
vdaf.parameters VdafError there is no such circuit, or no kernel for it
vdaf.proof ProofError the proof does not hold
vdaf.test-point TestPointError the test point is a root of unity
verify.digest PoolError a sender sealed something else than it signed
verify.fault PoolError an aggregator signed verifier shares that do not hold
verify.rows PoolError verifier shares are of another number of rows
verify.status PoolError a sender uses a status that does not exist
void.checked StateError the batch has arrived and was checked here
wire WireError bytes are not the one encoding of a value
wire.kind WireError these are bytes of something else
wire.long WireError bytes are left over
wire.short WireError bytes are missing
wire.version WireError these bytes are of a version that is not known here
"""


@dataclass(frozen=True)
class Code:
    """One line of the table. `waits`: right so far, something has yet to come (exit code 3)."""

    code: str
    type: str
    waits: bool
    sentence: str


def _read(line: str) -> Code:
    code, kind, sentence = line.split(" ", 2)
    return Code(code, kind.removesuffix("*"), kind.endswith("*"), sentence)


CODES: Final = {found.code: found for found in map(_read, _TABLE.splitlines())}


def page_table() -> str:
    """The table of docs/developer/errors.md."""
    rows = [
        f"| `{one.code}` | `{one.type}` | {'yes' if one.waits else ''} | {one.sentence} |"
        for one in CODES.values()
    ]
    return "\n".join(["| code | type | wait | it says |", "|---|---|---|---|", *rows])
