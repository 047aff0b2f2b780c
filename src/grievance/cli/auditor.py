"""What an auditor types: `audit`, for a whole pool, and `counted`, for one report in it.

Neither needs a home, a key or a server.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli import statistical as statistical_audit
from grievance.cli.choice import any_round, pick_round
from grievance.cli.output import (
    REFUSED,
    WAITING,
    Json,
    counted,
    emit,
    emit_json,
    progress_bars,
    refuse_usage,
    say,
)
from grievance.cli.places import HomeOption, TrustOption, signed_rounds
from grievance.cli.release_check import check_apart
from grievance.errors import GrievanceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit import AuditResult, Finding, Inclusion
    from grievance.audit.result import Verdict
    from grievance.cli.release_check import BesideAudit
    from grievance.empirical import StatisticalResult
    from grievance.pool.store import Store

_MAX_SHOWN = 100
_MAX_REPORT_SIZE = 64 << 20
_REASONS = {
    "period.closed": "it came after the round was closed",
    "batch.void": "its batch never arrived whole, and the leader gave it up",
    "batch.malformed": "its batch does not read",
    "report.open": "it does not open: altered on the way, or sealed for somebody else",
    "report.commitment": "what is sealed in it belongs to another report",
    "report.burnt": "a copy of it came before with other content",
    "report.replay": "it came twice; the other copy counts",
    "report.decode": "what is sealed in it is not a report's content",
    "report.joint-randomness": "its parts do not belong together",
    "report.test-point": "chance gave it a check that would show something of it",
}
_SEAL_AGAIN = "seal your answers again, and hand the new report in while the round is open"
_NOBODYS_FAULT = ("report.proof", "report.joint-randomness")
_ONE_COULD = (
    "  Nobody is named: the report may be damaged, or one organisation said something false about "
    "it.\n  Nobody can tell which from here, and nobody has read your answers."
)
_NEXT = {
    "period.closed": "ask whom you gave it to why it came late; a new round needs a new report",
    "batch.void": "ask whom you gave it to; a new round needs a new report",
    "report.replay": "nothing; once is enough",
}


def register(app: typer.Typer) -> None:
    """Add the auditor's commands."""
    app.command()(audit)
    app.command(name="counted")(find)


def audit(
    pools: Annotated[
        list[str],
        typer.Argument(metavar="POOL...", help="A pool: a folder, a URL or a bundle; or several."),
    ],
    trust: TrustOption = None,
    round_: Annotated[
        str | None, typer.Option("--round", help="Look at the files of this round only.")
    ] = None,
    release: Annotated[
        list[Path] | None,
        typer.Option(
            "--release",
            help="A published release.json; of a folder also whether its tables fit that.",
        ),
    ] = None,
    newer_than: Annotated[
        list[str] | None,
        typer.Option(
            "--newer-than",
            metavar="HEAD|BUNDLE",
            help="What a witness read out of `grievance heads`, as LEDGER:SIZE:GROUPS; or a file "
            "with a head, an earlier copy or bundle: the pool must not be older.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write the verdict as one HTML page."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Also put the pool into one archive, that can be audited like the pool itself.",
        ),
    ] = None,
    without_batches: Annotated[
        bool,
        typer.Option(
            "--without-batches",
            help="Leave sealed batches and verifier shares, nearly all bytes, out of the bundle.",
        ),
    ] = False,
    statistical: Annotated[
        bool,
        typer.Option(
            "--statistical",
            help="Also test the noise, where published tables must agree but for it.",
        ),
    ] = False,
    all_files: Annotated[
        bool,
        typer.Option("--all-files", help="Read every file of an unknown name, however many."),
    ] = False,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Recompute a pool, and say what does not hold.

    POOL may also be a bundle that `--bundle` made. Several pools are also held against each
    other: whoever begins one campaign in two of them, or shows each another ledger, is named.
    Without --trust, an organisation's own folder vouches for the rounds it signed. A release.json
    is held against the pool. What stands beside it in a folder follows from it and not from the
    pool: that is for `release check`, which is run apart and changes no verdict, only the exit
    code. Exit codes: 0 all is well; 1 something is wrong, nobody vouched for the keys, or the
    noise looks wrong; 3 something has yet to come, or was left out or not checked.
    """
    from grievance.audit import Statements, audit_pool
    from grievance.pool.store import open_store

    if without_batches and bundle is None:
        refuse_usage("--without-batches says what goes into a bundle", "add --bundle FILE")
    if len(pools) > 1 and (html or bundle or release or statistical or round_ or newer_than):
        refuse_usage(
            "--html, --bundle, --release, --newer-than, --round, --statistical are about one pool",
            "audit each pool by itself for these",
        )
    statements, results = Statements(), []
    folders = [place for place in release or () if place.is_dir()]
    claims = [place / "release.json" if place in folders else place for place in release or ()]
    for pool in pools:
        store = open_store(pool)
        texts = list(trust or ()) or signed_rounds(store, home)
        round_id = pick_round(store, round_, any_round, None, texts) if round_ is not None else None
        with progress_bars() as progress:
            result = audit_pool(
                store,
                trust=texts,
                round_id=round_id,
                releases=claims,
                newer_than=newer_than or (),
                all_files=all_files,
                statements=statements,
                label=pool if len(pools) > 1 else "",
                progress=progress,
            )
        results.append(result)
        beside = [check_apart(folder) for folder in folders]
        if html is not None:
            _write_page(result, pool, html, beside)
        if bundle is not None:
            _write_bundle(store, bundle, without_batches=without_batches)
    noise = statistical_audit.examine(store, round_id) if statistical else None
    _tell(pools, results, noise, beside, as_json=as_json)
    codes = {0 if _worst(results) == "pass" else REFUSED}
    if _worst(results) == "incomplete":
        codes = {WAITING}
    codes |= {REFUSED for one in noise or () if one.verdict == "flagged"}
    codes |= {one.exit_code for one in beside}
    raise typer.Exit(next(code for code in (REFUSED, WAITING, 0) if code in codes))


def _tell(
    pools: Sequence[str],
    results: Sequence[AuditResult],
    noise: Sequence[StatisticalResult] | None,
    beside: Sequence[BesideAudit],
    *,
    as_json: bool,
) -> None:
    """Say what was found, in words or as JSON: of one pool itself, of several a list."""
    if as_json and len(pools) == 1:
        found = {"beside": [one.to_json() for one in beside]}
        found |= {} if noise is None else {"statistical": [one.to_json() for one in noise]}
        emit_json({**results[0].to_json(), **found})
        return
    if as_json:
        each = [{"pool": p, **r.to_json()} for p, r in zip(pools, results, strict=True)]
        emit_json({"verdict": _worst(results), "pools": each})
        return
    for number, (pool, result) in enumerate(zip(pools, results, strict=True)):
        if number:
            emit("")
        _show(result, pool, beside)
    if len(pools) > 1:
        emit("")
        emit(f"All {len(pools)} together: {_worst(results).upper()}")
    if noise is not None:
        statistical_audit.show(noise)


def _worst(results: Sequence[AuditResult]) -> Verdict:
    order: tuple[Verdict, ...] = ("fail", "untrusted", "incomplete", "pass")
    return min((result.verdict for result in results), key=order.index)


def _write_page(
    result: AuditResult, pool: str, target: Path, beside: Sequence[BesideAudit]
) -> None:
    from grievance.audit.bundling import made_with
    from grievance.audit.page import write_page

    today = datetime.now(UTC).date().isoformat()
    # The page is for others: where the pool lies on this machine is none of their business.
    shown = pool if "://" in pool else Path(pool).resolve().name
    lines = [one.line for one in beside]
    page = write_page(result, shown, when=today, made_with=made_with(), beside=lines)
    target.write_text(page, encoding="utf-8")
    say(f"wrote {target}: the verdict as a page; open it in any browser, or print it")


def _write_bundle(store: Store, target: Path, *, without_batches: bool) -> None:
    from grievance.audit.bundling import make_bundle

    with progress_bars() as progress:
        made = make_bundle(store, target, without_batches=without_batches, progress=progress)
    left = f", {counted(made.left_out, 'file')} left out" if made.left_out else ""
    say(f"wrote {made.path}: {counted(made.files, 'file')}{left}, {made.size:,} bytes")
    say(f"  SHA-256 {made.sha256}")
    say(f"  later, without network: grievance audit {made.path} --trust ...")


def _show(result: AuditResult, pool: str, beside: Sequence[BesideAudit]) -> None:
    from grievance.audit.result import NOT_CHECKED

    emit(f"Audit of {pool}: {result.verdict.upper()}")
    emit(result.sentence)
    for one in beside:
        emit(one.line)
    emit("")
    found = result.counts
    emit(
        f"Checked: {counted(found.files, 'file')}, {counted(found.signatures, 'signature')}, "
        f"{counted(found.rounds, 'round')}, {counted(found.batches, 'batch', 'batches')} with "
        f"{counted(found.reports, 'sealed report')}, cover included, of which "
        f"{found.accepted:,} count; "
        f"{counted(found.releases, 'release')} added up again; {found.rules} rules, "
        f"{result.seconds:.1f} s."
    )
    for name, totals in result.campaigns.items():
        spent = ", ".join(f"{who} {_rho(amount)}" for who, amount in totals.spent.items())
        emit(
            f"Privacy budget of {name}: {totals.unit} {_rho(totals.budget)}, of which rounds may "
            f"use {_rho(totals.reserved)}; charged so far: {spent or 'nothing'}."
        )
    for facts in result.details:
        for release in facts.releases:
            emit(f"Release {release.release_id} of {facts.round_id}: {release.watched}.")
    for head in result.heads:
        size = counted(head.size, "entry", "entries")
        emit(f"Newest head of {head.ledger}: {size}, {head.spoken}")
    for name in result.rehearsals:
        emit(f"{name} is a REHEARSAL: one machine could read every answer in it.")
    if not result.vouched:
        _show_keys(result)
    emit("")
    emit("What no reader of a pool can check:")
    for line in NOT_CHECKED:
        emit(f"  - {line}")
    for severity, title in (
        ("fault", "What does not hold"),
        ("waiting", "What has yet to come"),
        ("unchecked", "What could not be checked"),
        ("note", "Worth knowing"),
    ):
        listed = [finding for finding in result.findings if finding.severity == severity]
        if listed:
            _show_findings(title, listed, advise=severity != "note")
    if result.omitted:
        emit(f"... and {result.omitted:,} more, too many to keep")


def _show_keys(result: AuditResult) -> None:
    emit("")
    emit("Signatures prove agreement, not identity. Compare these with what the organisations")
    emit("show elsewhere, then run this again with --trust and what you compared:")
    for name, fingerprint in result.keys.items():
        emit(f"  {fingerprint}  the key of {name}")
    for name, digest in result.rounds.items():
        emit(f"  {digest}  the round {name}, its keys included")


def _show_findings(title: str, findings: Sequence[Finding], *, advise: bool) -> None:
    from grievance.audit.rules import RULES

    emit("")
    emit(f"{title} ({len(findings):,}):")
    file = None
    for finding in findings[:_MAX_SHOWN]:
        if finding.file != file:
            file = finding.file
            emit(f"  {file}")
        emit(f"    {finding.rule}: {finding.message}")
        if finding.by:
            emit(f"      signed by: {', '.join(finding.by)}")
        for text in finding.evidence:
            emit("      signed by its owner:")
            for part in text.splitlines():
                emit(f"        {part}")
        if advise:
            rule = RULES[finding.rule]
            emit(f"      rule: {rule.holds} ({rule.page})")
            emit(f"      next: {rule.advice}")
    if len(findings) > _MAX_SHOWN:
        emit(f"  ... and {len(findings) - _MAX_SHOWN:,} more; --json lists them")


def _rho(text: str) -> str:
    return f"{float(Fraction(text)):.4g}"


def find(
    receipt: Annotated[
        str, typer.Argument(metavar="RECEIPT", help="The receipt, 64 hex digits; or a .report.")
    ],
    pool: Annotated[str, typer.Option("--pool", help="The pool: a folder or a URL.")],
    trust: TrustOption = None,
    as_json: Json = False,
) -> None:
    """Say whether a report was counted, from public files alone.

    Exit codes: 0 it was; 1 it was not, or nobody vouched for the keys that say so; 3 it is not
    decided yet. With --json also a proof that others can check.
    """
    from grievance.audit import find_report

    digest = _digest(receipt)
    with progress_bars() as progress:
        found = find_report(pool, digest, trust=trust or (), progress=progress)
    if as_json:
        emit_json(found.to_json())
    else:
        _show_inclusion(found)
    if found.status != "counted" or not found.vouched:
        waits = found.status == "waiting" and (found.vouched or not trust)
        raise typer.Exit(WAITING if waits else REFUSED)


def _digest(text: str) -> bytes:
    """The digest that a receipt says, or that a report has."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        return bytes.fromhex(text.strip())
    from grievance.client.report import Report

    path = Path(text)
    try:
        is_file = path.is_file()
    except OSError:  # too long for a name, for example
        is_file = False
    if not is_file:
        raise UsageError(
            "this is neither a receipt nor a report",
            code="receipt",
            hint="a receipt is the line of 64 hex digits that `grievance seal` printed",
        )
    with path.open("rb") as file:
        data = file.read(_MAX_REPORT_SIZE + 1)
    try:
        return Report.from_bytes(data).digest
    except GrievanceError as error:
        raise UsageError(f"{path.name} is no sealed report: {error}", code="receipt") from None


def _show_inclusion(found: Inclusion) -> None:
    where = f"batch {found.seq} of {found.round_id}" if found.seq else f"round {found.round_id}"
    if found.status == "counted":
        emit(f"counted: every aggregator signed that this report counts, in {where}.")
    elif found.status == "refused":
        why = _REASONS.get(found.reason, "its proof does not hold")
        emit(f"refused ({found.reason}): it is in {where}, and {why}.")
        if found.reason in _NOBODYS_FAULT:
            emit(_ONE_COULD)
        emit(f"  next: {_NEXT.get(found.reason, _SEAL_AGAIN)}")
    elif found.status == "waiting":
        emit(f"waiting: it is in {where}; {', '.join(found.missing)} has yet to act.")
    elif found.status == "disputed":
        emit(f"disputed: it is in {where}, but what the aggregators say of it does not hold.")
        emit("  next: grievance audit, and show its findings to every aggregator")
    else:
        emit("absent: no batch in this pool holds this report.")
        emit("  next: ask whom you gave it to; relays publish at fixed hours")
    if found.status != "absent" and not found.vouched:
        emit("Nobody vouched for the keys that say so: run it again with --trust.")
    for finding in found.findings:
        emit(f"  {finding.rule}: {finding.file}: {finding.message}")
