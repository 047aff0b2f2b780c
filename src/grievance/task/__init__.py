"""Who takes part in a round, on which terms: identities, cards, the task, and trust in it."""

from grievance.task.anchor import TrustAnchor, load_task
from grievance.task.backup import BackupClaim
from grievance.task.card import Card, card_matches, check_envelope, make_card, parse_card
from grievance.task.consent import (
    check_cards,
    check_parties_stay,
    check_plan_continues,
    check_plan_file,
    check_successor,
)
from grievance.task.identity import Identity, make_identity, parse_identity
from grievance.task.mailbox import make_mailbox, parse_mailbox
from grievance.task.signatures import (
    bundle,
    check_signatures,
    parse_bundle,
    parse_task_signature,
    sign_task,
)
from grievance.task.task import (
    Task,
    build_task,
    check_mechanism_stays,
    parse_task,
)
from grievance.task.terms import AggregatorEntry, RoundTerms
from grievance.task.verify_key import commitment, open_verify_key, seal_verify_key

__all__ = [
    "AggregatorEntry",
    "BackupClaim",
    "Card",
    "Identity",
    "RoundTerms",
    "Task",
    "TrustAnchor",
    "build_task",
    "bundle",
    "card_matches",
    "check_cards",
    "check_envelope",
    "check_mechanism_stays",
    "check_parties_stay",
    "check_plan_continues",
    "check_plan_file",
    "check_signatures",
    "check_successor",
    "commitment",
    "load_task",
    "make_card",
    "make_identity",
    "make_mailbox",
    "open_verify_key",
    "parse_bundle",
    "parse_card",
    "parse_identity",
    "parse_mailbox",
    "parse_task",
    "parse_task_signature",
    "seal_verify_key",
    "sign_task",
]
