"""Reads the fenced blocks of the documentation, types their commands and runs their snippets.

What a page shows under a command must come out of it: every line shown has to be a line of the
real output. Digests, fingerprints and ids differ in every run. The first time a page shows one,
the real one in its place is remembered; later commands are typed with the real one. `...` stands
for anything.

Comments above a block say what the test needs:

    <!-- typed: 2 | 3 -->      what a person types at the keyboard, instead of y to every question
    <!-- meanwhile: relay -->  something others do at this point, a function of the test
    <!-- file: plan.toml -->   the block is this file
    <!-- with: release -->     a Python block needs this (see the test)
"""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import cli_shell
from cli_shell import Ran, Terminal, type_words

from grievance.cli.app import tree

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)[^\n]*$")
_MARK = re.compile(r"<!-- (?P<name>typed|meanwhile|file|with): (?P<value>.*?) -->")
_PROMPT = re.compile(r"^(?:(?P<name>[a-z][a-z-]*))?\$ (?P<command>.+)$")
_GROUP = "[0-9A-HJKMNP-TV-Z]{4}"
KINDS = (
    r"\b[0-9a-f]{64}\b",
    rf"\b{_GROUP}(?:-{_GROUP}){{4,7}}\b",
    r"\bpressure-[0-9a-f]{8}\b",
    r"\b[0-9a-f]{16}\b",
    r"\b[0-9a-f]{12}\b(?=\.report)",
)
"""Digests, fingerprints, rounds, releases, names of reports: other ones in every run."""
TOKEN = re.compile("|".join(f"({kind})" for kind in KINDS))


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text, and the marks above it."""

    page: Path
    line: int
    language: str
    text: str
    marks: Mapping[str, str]

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


@dataclass(frozen=True)
class Meanwhile:
    """Something that others do between two blocks."""

    what: str


def pages() -> list[Path]:
    """The README and every page of the site."""
    return [PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))]


def steps(page: Path) -> Iterator[Block | Meanwhile]:
    """The fenced blocks of a page, and what happens between them, in order."""
    marks: dict[str, str] = {}
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if (mark := _MARK.search(line)) is not None:
            if mark["name"] == "meanwhile":
                yield Meanwhile(mark["value"])
            else:
                marks[mark["name"]] = mark["value"]
        elif (fence := _FENCE.match(line)) is not None:
            text = []
            for _, inside in lines:
                if inside.strip() == "```":
                    break
                text.append(inside.removeprefix(fence["indent"]))
            yield Block(page, number, fence["language"], "\n".join(text) + "\n", marks)
            marks = {}
        elif line.strip():
            marks = {}


def blocks(*languages: str) -> list[Block]:
    """All fenced blocks in these languages, in all pages."""
    found = [step for page in pages() for step in steps(page) if isinstance(step, Block)]
    return [block for block in found if block.language in languages]


@dataclass
class Typed:
    """A command as a page shows it: who types it, and which lines come out."""

    who: str
    command: str
    shown: list[str] = field(default_factory=list)


def typed(block: Block) -> list[Typed]:
    """The commands of a console block."""
    found: list[Typed] = []
    for line in block.text.splitlines():
        prompt = _PROMPT.match(line)
        if prompt is not None:
            found.append(Typed(prompt["name"] or "", prompt["command"]))
        elif found and found[-1].command.endswith("\\") and not found[-1].shown:
            found[-1].command = f"{found[-1].command[:-1].rstrip()} {line.strip()}"
        elif line.strip() not in ("", "..."):
            assert found, f"{block.where}: a line before any command: {line}"
            found[-1].shown.append(line.strip())
    return found


class Echo(Terminal):
    """A terminal that shows what is typed, as people see it."""

    def readline(self, *size: int) -> str:  # type: ignore[override]
        line = super().readline(*size)
        sys.stderr.write(line)
        return line


class Typist:
    """Types the commands of pages in one folder, everybody with a home of their own."""

    def __init__(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.known = dict(known or {})
        """What a page calls something -> what it is called here."""
        self.said: list[tuple[str, Ran]] = []

    def play(self, page: Path, meanwhile: Mapping[str, Callable[[], object]]) -> int:
        """Type every console block of a page. Returns how many commands were typed."""
        done = 0
        for step in steps(page):
            if isinstance(step, Meanwhile):
                meanwhile[step.what]()
            elif "file" in step.marks:
                self.folder.joinpath(step.marks["file"]).write_text(step.text, encoding="utf-8")
            elif step.language == "console":
                for command in typed(step):
                    self.type(step, command)
                    done += 1
        return done

    def type(self, block: Block, command: Typed) -> None:
        """Type one command and hold what comes out against what the page shows."""
        here = f"{block.where}: {command.command}"
        ran = self._run(block, command, self._real(command.command, here))
        self.said.append((command.command, ran))
        fails = any(line.startswith("grievance: error:") for line in command.shown)
        # 3: something has yet to come.
        assert ran.code not in (0, 3) if fails else ran.code in (0, 3), (here, ran)
        lines = [line.strip() for line in (ran.out + "\n" + ran.err).splitlines()]
        for shown in command.shown:
            self._find(shown, lines, here)

    def _run(self, block: Block, command: Typed, line: str) -> Ran:
        home = {"HOME": str(self.folder), "COLUMNS": "80"}
        words = shlex.split(line, comments=True)
        if words[0] != "grievance":
            done = subprocess.run(
                ["bash", "-ec", line],
                cwd=self.folder,
                env={**home, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                check=False,
            )
            return Ran(done.returncode, done.stdout, done.stderr)
        words = [word.replace("~/", f"{self.folder}/", 1) for word in words[1:]]
        keys = self._real(block.marks.get("typed", " | ".join(["y"] * 12)), block.where)
        with mock.patch.object(cli_shell, "Terminal", Echo):
            return type_words(
                *words,
                home=self.folder / f".homes/{command.who or 'anybody'}",
                keyboard="".join(f"{key.strip()}\n" for key in keys.split(" | ")),
                env=home,
            )

    def _real(self, text: str, here: str) -> str:
        """A command as it is typed here."""

        def found(match: re.Match[str]) -> str:
            assert match[0] in self.known, f"{here}: nothing before showed {match[0]}"
            return self.known[match[0]]

        return TOKEN.sub(found, text)

    def _find(self, shown: str, lines: list[str], here: str) -> None:
        """Find a line of the page among the real ones, and learn what is called how."""
        pattern, names, at = "", list[str](), 0
        for token in TOKEN.finditer(shown):
            pattern += _loosely(shown[at : token.start()])
            if token[0] in self.known:
                pattern += re.escape(self.known[token[0]])
            else:
                names.append(token[0])
                # Another token of the same kind, not just any.
                pattern += f"({KINDS[(token.lastindex or 1) - 1]})"
            at = token.end()
        pattern += _loosely(shown[at:])
        match = next((m for line in lines if (m := re.fullmatch(pattern, line))), None)
        assert match is not None, (here, f"does not say: {shown}", "\n".join(lines))
        self.known.update(zip(names, match.groups(), strict=True))


def _loosely(text: str) -> str:
    """A pattern for text in which `...` is anything."""
    return ".*".join(re.escape(part) for part in text.split("..."))


SHELL = ("<", ">", "|", "&&")
"""Where a command ends and something else begins."""


def parses(words: list[str], *, whole: bool) -> None:
    """Hold a command line against the real commands: names, options, and with `whole` arity.

    Raises AssertionError. Nothing is run and no file is looked at.
    """
    command = tree()
    rest = list(itertools.takewhile(lambda word: word not in SHELL, words))
    while getattr(command, "commands", None):
        if not rest or rest[0].startswith("-"):
            break
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    context = type(command).context_class(command, info_name="grievance", resilient_parsing=False)
    context.allow_extra_args = not whole
    options = {option for param in command.params for option in param.opts if option[0] == "-"}
    options |= {"--help", "--version"}
    for word in rest:
        if word.startswith("-") and word != "-":
            assert word.split("=")[0] in options, f"{word.split('=')[0]} is no option"
    if not whole or "--help" in rest or "--version" in rest:
        return
    values, left, _ = command.make_parser(context).parse_args(list(rest))
    assert not left, f"too many words: {left}"
    for param in command.params:
        if param.required:
            assert values.get(param.name) not in (None, ()), f"{param.name} is missing"
