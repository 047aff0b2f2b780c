"""The pages about wire formats and decisions against the code: every label, magic and size."""

from __future__ import annotations

import ast
import functools
import re

import pytest
from docs_world import DOCS, PROJECT

pytestmark = pytest.mark.lint

PAGES = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "formats").glob("*.md")}
TEXT = re.sub(r"\s+", " ", "\n".join(PAGES.values()))
SOURCE = PROJECT / "src/grievance"


@functools.cache
def constants() -> dict[str, object]:
    """Every constant of the package that stands at the top of a module, as `module.NAME`."""
    found: dict[str, object] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    try:
                        value = eval(ast.unparse(node.value), {"__builtins__": {}})  # sums, shifts
                    except (NameError, TypeError, AttributeError, SyntaxError):
                        continue
                    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
                    found[f"{name}.{target.id}"] = value
    return found


@functools.cache
def labels() -> set[str]:
    """Every text `grievance/2 ...` in the code, as text or bytes, documentation apart."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            value = node.value if isinstance(node, ast.Constant) else None
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            # A docstring may begin with anything, but has more than one line or a full stop.
            if isinstance(text, str) and re.fullmatch(r"grievance/2[a-zA-Z ]*", text):
                found.add(text.strip())
    return found


def test_every_label_of_the_code_is_on_the_pages() -> None:
    known = labels()
    assert len(known) > 35
    missing = [text for text in known if f"`{text}" not in TEXT and f'"{text}"' not in TEXT]
    assert not missing


def test_no_label_on_the_pages_is_unknown_to_the_code() -> None:
    said = set(re.findall(r"[`\"](grievance/2[a-zA-Z ]*)(?:[`\"]|(?= MLKEM| X25519))", TEXT))
    # A kind of key file names its KEM.
    said = {re.sub(r" (MLKEM|X)$", "", text) for text in said}
    assert said - labels() == set()


SIZES = {
    "documents.md": [
        ("crypto.hpke.TAG_SIZE", "16 bytes"),
        ("crypto.documents.MAX_DEPTH", "32 levels"),
    ],
    "task.md": [
        ("task.identity.LIMIT", "4,096 bytes"),
        ("task.mailbox.LIMIT", "8,192 bytes"),
        ("task.card.LIMIT", "65,536 bytes"),
        ("task.task.LIMIT", "1 MiB"),
        ("task.signatures.LIMIT", "4,096 bytes"),
        ("task.verify_key.LIMIT", "65,536 bytes"),
        ("task.identity.MAX_AGGREGATORS", "2 to 16"),
        ("task.task.ALGORITHM", "4294920002"),
        ("task.task.VDAF_VERSION", "`version` 18"),
        ("task.task.VDAF_DRAFT", "draft-irtf-cfrg-vdaf-20"),
    ],
    "report.md": [
        ("client.report.MAX_PUBLIC_SHARE_SIZE", "65,536 bytes"),
        ("client.report.MAX_CIPHERTEXT_SIZE", "16,777,216"),
        ("client.commitment.SALT_SIZE", "32 random bytes"),
        ("client.commitment.COMMITMENT_SIZE", "|| T), 32 bytes"),
        ("client.commitment.NONCE_SIZE", "The nonce is the first 16 bytes"),
        ("client.report.MAGIC", "`GRVR`"),
        ("client.report.VERSION", "version: 1"),
    ],
    "batch.md": [
        ("pool.batch.HEADER_SIZE", "177-byte header"),
        ("pool.batch.MAX_BATCH_ROWS", "1 to 100,000"),
        ("pool.batch.MAGIC", "`GRVB`"),
        ("pool.batch.VERSION", "version: 1"),
        ("client.flat_parquet.MAX_GROUP_ROWS", "10,000 rows"),
        ("client.flat_parquet.MAX_GROUP_SIZE", "64 MiB"),
        ("client.flat_parquet.MAX_FOOTER_SIZE", "1 MiB"),
        ("client.flat_parquet._MAX_PAGE_HEADER", "at most 64 bytes"),
        ("client.flat_parquet.MAGIC", "`PAR1`"),
    ],
    "order.md": [("pool.store.SMALL_FILE_SIZE", "4 MiB")],
    "checking.md": [("pool.decisions.MAGIC", "`GRVV`"), ("pool.decisions.VERSION", "version: 1")],
    "ledger.md": [
        ("ledger.checkpoint.MAX_NOTE_SIZE", "4,096 bytes"),
        ("ledger.versions.LIMIT", "64 MiB"),
        ("pool.noisy.LIMIT", "8 MiB"),
    ],
    "release.md": [
        ("pool.proposals.MAX_REASON_LENGTH", "500 characters"),
        ("pool.noisy.LIMIT", "8 MiB"),
        ("release.release.LIMIT", "64 MiB"),
    ],
    "backup.md": [
        ("backup.sets.LIMIT", "131,072 bytes"),
        ("backup.requests.LIMIT", "16,384 bytes"),
        ("backup.rehearsed.LIMIT", "8,192 bytes"),
        ("backup.archive.MAX_CONTENTS_SIZE", "2 MiB"),
        ("task.backup.MAX_TRUSTEES", "2 to 16"),
    ],
    "bundle.md": [
        ("pool.archive.MAX_MEMBERS", "1,000,000 members"),
        ("pool.archive.MAX_NAME_SIZE", "400 bytes"),
    ],
    "keys.md": [("crypto.keys.MAX_FILE_SIZE", "16,384 bytes")],
}
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def _says(words: str, value: object) -> bool:
    """Whether these words of a page state this value of the code."""
    if isinstance(value, bytes | str):
        return (value.decode() if isinstance(value, bytes) else value) in words
    number, unit = (
        re.findall(r"[0-9][0-9,]*", words)[-1].replace(",", ""),
        words.rsplit(maxsplit=1)[-1],
    )
    return int(number) * UNITS.get(unit, 1) == value


@pytest.mark.parametrize("page", SIZES)
def test_sizes_and_magics(page: str) -> None:
    known = constants()
    text = re.sub(r"\s+", " ", PAGES[page])
    for name, words in SIZES[page]:
        assert words in text, (page, words)
        assert _says(words, known[name]), (name, known[name], words)


def test_every_magic_of_the_code_is_on_the_pages() -> None:
    magics = {n: v for n, v in constants().items() if n.endswith(".MAGIC")}
    said = {magic for checks in SIZES.values() for magic, _ in checks}
    assert set(magics) <= said and len(magics) == 4


def test_decisions_have_four_parts() -> None:
    found = [path for path in (DOCS / "decisions").glob("*.md") if path.name != "index.md"]
    assert len(found) >= 12
    index = (DOCS / "decisions/index.md").read_text(encoding="utf-8")
    for path in found:
        parts = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert parts == ["Context", "Decision", "What it costs", "What would change it"], path
        assert f"({path.name})" in index
