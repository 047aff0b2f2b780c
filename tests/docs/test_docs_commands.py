"""Every command that a page shows exists; the steward's and the worker's pages are typed whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from docs_world import DOCS, Block, Meanwhile, Typist, blocks, pages, parses, steps, typed

from federation import Federation
from grievance.task import bundle

_COMMAND = re.compile(r"^(?:[a-z][a-z-]*)?\$ (?P<typed>grievance .+)$|^(?P<plain>grievance .+)$")
_INLINE = re.compile(r"`(grievance [^`\n]+)`|^ {4}(grievance (?!demo).+)$", re.MULTILINE)
SHELL = blocks("console", "text", "bash", "sh", "")
PLAYED = {
    DOCS / "steward/rehearsal.md",
    DOCS / "steward/first-round.md",
    DOCS / "worker.md",
    DOCS / "index.md",  # one command, of which tests/demo types more
}


def commands(block: Block) -> list[str]:
    """The command lines of a block: after a prompt, or at the beginning of a line."""
    if block.language == "console":
        return [t.command for t in typed(block) if t.command.startswith("grievance ")]
    found = (_COMMAND.match(line.strip()) for line in block.text.splitlines())
    return [match["typed"] or match["plain"] for match in found if match is not None]


@pytest.mark.lint
@pytest.mark.parametrize("block", [b for b in SHELL if commands(b)], ids=lambda b: b.where)
def test_commands_in_blocks_parse(block: Block) -> None:
    for line in commands(block):
        # Said of a program, with a colon: an error, not a command.
        if re.match(r"grievance: |grievance [a-z]+: ", line):
            continue
        parses(shlex.split(line, comments=True)[1:], whole="..." not in line)


@pytest.mark.lint
def test_commands_in_sentences_parse() -> None:
    seen = 0
    for page in pages():
        for match in _INLINE.finditer(page.read_text(encoding="utf-8")):
            # Optional words stand in brackets, alternatives behind a bar.
            line = re.sub(r"\|[a-z]+", "", re.sub(r"[\[\]]", "", match[1] or match[2]))
            line = line.replace("...", "")
            try:
                parses(shlex.split(line)[1:], whole=False)
            except AssertionError as error:
                raise AssertionError(f"{page.relative_to(DOCS.parent)}: {line}: {error}") from None
            seen += 1
    assert seen > 40


@pytest.mark.lint
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("releas propose", "no command"),
        ("release proposes", "no command"),
        ("audit POOL --thrust X", "no option"),
        ("audit", "missing"),
        ("init", "missing"),
        ("round close now", "too many words"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        parses(line.split(), whole=True)


@pytest.mark.lint
def test_console_blocks_stand_on_pages_that_are_typed() -> None:
    assert {block.page for block in blocks("console")} <= PLAYED


def test_the_rehearsal_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typist = Typist(tmp_path)
    assert typist.play(DOCS / "steward/rehearsal.md", {}) > 12
    assert (tmp_path / "try/results/release.json").exists()


def test_the_first_round_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typist = Typist(tmp_path)
    write_plan(tmp_path)
    assert typist.play(DOCS / "steward/first-round.md", {}) > 45
    assert (tmp_path / "first-round.zip").exists()
    assert (tmp_path / "results/release.json").exists()


def write_plan(folder: Path) -> bytes:
    """The plan that the rehearsal's page prints."""
    page = DOCS / "steward/rehearsal.md"
    plan = next(s for s in steps(page) if isinstance(s, Block) and s.language == "toml")
    folder.joinpath("plan.toml").write_text(plan.text, encoding="utf-8")
    return plan.text.encode()


def test_the_workers_page_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    town = Federation(
        tmp_path / "town",
        ("health-union", "law-centre"),
        ("nurses",),
        pool=str(_made(tmp_path / "Nextcloud/pool")),
    )
    task = town.open_round(write_plan(tmp_path))
    signatures = [town.file(town.paths.signature(n)).read_bytes() for n in town.aggregators]
    Path("round.json").write_bytes(bundle(task, signatures))

    def relay() -> None:
        from grievance.client import read_report

        (file,) = tmp_path.glob("*.report")
        town.relay("nurses", [read_report(file, task)])
        town.settle()

    page = DOCS / "worker.md"
    shown = re.search(r"--trust ([0-9A-Z-]{39})", page.read_text(encoding="utf-8"))
    assert shown is not None
    typist = Typist(tmp_path, {shown[1]: task.short_digest})
    assert typist.play(page, {"relay": relay}) == 2


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_what_a_page_shows_must_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of the pages is awake: another line, an unknown digest, a command that fails."""
    monkeypatch.chdir(tmp_path)
    block = Block(DOCS / "x.md", 1, "console", "", {})

    def play(text: str) -> None:
        one = Block(block.page, 1, "console", text, {})
        for command in typed(one):
            Typist(tmp_path).type(one, command)

    play("$ echo one two\none ...\n")
    with pytest.raises(AssertionError, match="does not say: three"):
        play("$ echo one two\nthree\n")
    with pytest.raises(AssertionError, match="nothing before showed"):
        play("$ grievance release show 15d954e79c095d38\n")
    with pytest.raises(AssertionError):
        play("$ grievance status\n")
    play("$ grievance status\ngrievance: error: there is no organisation at ...\n")
    assert not isinstance(block, Meanwhile)
