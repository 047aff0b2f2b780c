"""The web form: what it asks, what it seals, and that no answer is found anywhere else."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from grievance.client import open_input_share, questions, read_report
from grievance.testing import Coalition, make_coalition

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "web"
SENTINEL = "739146"
# As a number of its own: digests and keys in files may hold any six digits.
TOLD = re.compile(rf"(?<![\w-]){SENTINEL}(?![\w-])".encode())

PLAN = """
title = "Pay & <pressure>"
campaign = "web"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"

[privacy]
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 4.0

[fields.region]
question = 'Where "exactly" <b>do</b> you work?'
choices = ["North & East", "South 'West'", "1 <i>"]
required = true

[fields.problems]
question = "What is a problem?"
help = "At most two, of <these>."
choices = ["overtime", "targets", "bullying"]
pick = 2

[fields.pay]
question = "Pay in a year"
unit = "pounds"
minimum = 0
maximum = 800000
step = 1
bands = [0, 20000, 800000]

[statistics.problems_by_region]
count = ["problems", "region"]

[statistics.pay]
mean = "pay"
"""

GOOD = [("region", "002"), ("problems", "001"), ("problems", "003"), ("pay", SENTINEL)]


class Client:
    """A coalition's form behind a real server, and a browser of its own for each request."""

    def __init__(self, coalition: Coalition, app: Any, port: int, inbox: Path) -> None:
        self.coalition, self.task = coalition, coalition.task
        self.app, self.port, self.inbox = app, port, inbox

    def ask(
        self,
        method: str = "GET",
        path: str = "/",
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        kind = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        line.request(method, path, body, {**kind, **(headers or {})})
        response = line.getresponse()
        text = response.read().decode()
        line.close()
        return response, text

    def send(self, fields: list[tuple[str, str]]) -> tuple[http.client.HTTPResponse, str]:
        return self.ask("POST", body=urlencode(fields))

    def reports(self) -> list[Path]:
        return sorted(self.inbox.iterdir())


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    """The example's `run`, imported from its folder as it imports its own parts."""
    import importlib.util

    before, known = list(sys.path), set(sys.modules)
    spec = importlib.util.spec_from_file_location("example_web", EXAMPLE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    for name in {"page", "intake"} - known:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(PLAN)


@pytest.fixture
def client(web: Any, coalition: Coalition, tmp_path: Path) -> Iterator[Client]:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    app = web.Intake(coalition.task, inbox)
    with web.serve(app, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(coalition, app, server.server_port, inbox)
        server.shutdown()
        thread.join()


def opened(client: Client, path: Path) -> list[int]:
    """The measurement in a report, as all aggregators together would see it."""
    report = read_report(path, client.task)
    vdaf, total = client.task.vdaf, None
    for index, key in enumerate(client.coalition.hpke_keys):
        share = open_input_share(
            key,
            client.task,
            index,
            report.commitment,
            report.public_share,
            report.ciphertexts[index],
        )
        decoded = vdaf.decode_input_share(index, share)
        vector, *_ = vdaf.expand_input_share(client.task.ctx, index, decoded)
        total = vector if total is None else vdaf.field.add(total, vector)
    assert total is not None
    return list(total)[: client.task.layout.num_bits]


def test_the_form_asks_what_the_plan_asks(client: Client) -> None:
    response, text = client.ask()
    assert response.status == 200
    for question in questions(client.task.plan):
        assert question.text in unescape(text)
        assert all(choice in unescape(text) for choice in question.choices)
        assert text.count(f'name="{question.name}"') >= 1
    for entry in client.task.aggregators:
        assert entry.member.fingerprint in text
    assert client.task.short_digest in text
    # Texts of the plan are text: nothing in them became an element.
    tags = set(re.findall(r"<(/?[a-z0-9]+)", text))
    assert not tags & {"b", "i", "pressure", "these", "script", "img"}
    assert 'Where "exactly"' not in text


def test_every_page_forbids_copies_scripts_and_frames(client: Client) -> None:
    pages = [client.ask(), client.send(GOOD), client.send([("region", "x")]), client.ask("PUT")]
    for response, text in pages:
        assert response.headers["Cache-Control"] == "no-store"
        policy = response.headers["Content-Security-Policy"]
        for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert response.headers["Set-Cookie"] is None
        assert "<script" not in text
        style = text.partition("<style>")[2].partition("</style>")[0].encode()
        import base64
        import hashlib

        assert base64.b64encode(hashlib.sha256(style).digest()).decode() in policy


def test_answers_are_sealed_and_the_receipt_is_shown(client: Client) -> None:
    response, text = client.send(GOOD)
    assert response.status == 200
    (path,) = client.reports()
    report = read_report(path, client.task)
    assert f"<code>{report.digest.hex()}</code>" in text
    layout = client.task.layout
    answers = {"region": "South 'West'", "problems": ["overtime", "bullying"], "pay": SENTINEL}
    assert opened(client, path) == layout.encode(layout.answers(answers))


def test_open_questions_ticking_nothing_and_blank_forms(client: Client) -> None:
    layout = client.task.layout
    cases: list[tuple[list[tuple[str, str]], dict[str, object]]] = [
        ([("region", "001")], {"region": "North & East"}),
        ([("region", "001"), ("pay", " ")], {"region": "North & East"}),
        (
            [("region", "001"), ("problems", "none")],
            {"region": "North & East", "problems": []},
        ),
        ([("region", "003"), ("pay", "12,0")], {"region": "1 <i>", "pay": "12"}),
        ([("pay", "")], {}),
        ([], {}),
    ]
    for fields, answers in cases:
        before = set(client.reports())
        response, _ = client.send(fields)
        assert response.status == 200, fields
        (new,) = set(client.reports()) - before
        assert opened(client, new) == layout.encode(layout.answers(answers)), fields


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ([("pay", SENTINEL)], ["region"]),
        ([("region", SENTINEL)], ["region"]),
        ([("region", "North & East")], ["region"]),
        ([("region", "001"), ("region", "002")], ["region"]),
        ([("region", "001"), ("pay", f"{SENTINEL}99")], ["pay"]),
        ([("region", "001"), ("pay", f"{SENTINEL}.3")], ["pay"]),
        ([("region", "001"), ("pay", f"<b>{SENTINEL}</b>")], ["pay"]),
        ([("region", "001"), ("pay", "1" * 4000)], ["pay"]),
        ([("region", "001"), *(("problems", f"00{n}") for n in (1, 2, 3))], ["problems"]),
        ([("region", "001"), ("problems", "001"), ("problems", "001")], ["problems"]),
        ([("region", "001"), ("problems", "001"), ("problems", "none")], ["problems"]),
        (
            [
                ("region", "001"),
                *(("problems", f"00{n}") for n in (1, 2, 3)),
                ("pay", SENTINEL * 2),
            ],
            ["problems", "pay"],
        ),
        ([("region", "004"), ("pay", SENTINEL), ("problems", SENTINEL)], ["region", "problems"]),
    ],
)
def test_bad_answers_are_named_by_question_and_never_repeated(
    client: Client, fields: list[tuple[str, str]], wrong: list[str], capfd: Any
) -> None:
    response, text = client.send(fields)
    assert response.status == 422
    assert SENTINEL not in text
    found = [
        question.name
        for question in questions(client.task.plan)
        if "Please answer this again"
        in text.partition(f"<legend>{_escaped(question.text)}")[2].partition("</fieldset>")[0]
    ]
    assert found == wrong
    assert client.reports() == []
    assert capfd.readouterr() == ("", "")


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/", f"{SENTINEL}=1", {}, 400),
        ("POST", "/", f"region=001&{SENTINEL}={SENTINEL}", {}, 400),
        ("POST", "/", f"region={SENTINEL}&&;", {}, 400),
        ("POST", "/", f"region=%ff{SENTINEL}", {}, 400),
        ("POST", "/", f"region=001&pay={SENTINEL}é".encode(), {}, 400),
        ("POST", "/", "&".join([f"problems={SENTINEL}"] * 6000), {}, 413),
        ("POST", "/", "&".join(["region="] * 6000), {}, 400),
        ("POST", "/", b"pay=" + SENTINEL.encode() * 200_000, {}, 413),
        ("POST", "/", f'{{"pay": {SENTINEL}}}', {"Content-Type": "application/json"}, 415),
        ("POST", f"/{SENTINEL}", f"pay={SENTINEL}", {}, 404),
        ("GET", f"/?pay={SENTINEL}", None, {}, 200),
        ("GET", f"/{SENTINEL}", None, {}, 404),
        ("PUT", "/", f"pay={SENTINEL}", {}, 405),
    ],
)
def test_what_no_form_sends_is_refused(
    client: Client,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    status: int,
    capfd: Any,
) -> None:
    response, text = client.ask(method, path, body, headers)
    assert response.status == status
    assert SENTINEL not in text
    assert SENTINEL not in str(response.headers)
    assert client.reports() == []
    assert capfd.readouterr() == ("", "")


def test_a_body_without_length_is_refused(client: Client) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for more in (b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n", b""):
        assert b" 411 " in _raw(client.port, head + more + b"\r\n").split(b"\r\n")[0]
    assert client.reports() == []


def _raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=300) as line:
        line.sendall(data)
        found = b""
        while piece := line.recv(1 << 16):
            found += piece
    return found


def test_all_answers_to_a_form_have_one_length(client: Client) -> None:
    def length(fields: list[tuple[str, str]]) -> int:
        body = urlencode(fields).encode()
        head = (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return len(_raw(client.port, head.encode() + body))

    forms = [GOOD, [], [("region", "x")], [("region", "001"), ("pay", "x")], [("other", "x")]]
    assert len({length(fields) for fields in forms}) == 1


def test_two_browsers_at_once(client: Client) -> None:
    # One of them stops in the middle of its request; the others must not wait for it.
    with socket.create_connection(("127.0.0.1", client.port), timeout=300) as stuck:
        stuck.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        with ThreadPoolExecutor(2) as browsers:
            texts = [text for _, text in browsers.map(client.send, [GOOD] * 6)]
    receipts = {found[1] for text in texts if (found := re.search(r"<code>(\w{64})</code>", text))}
    assert len(receipts) == 6
    assert receipts == {read_report(path, client.task).digest.hex() for path in client.reports()}


def test_a_fault_inside_says_nothing(
    client: Client, web: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def fail(_task: object, answers: object) -> None:
        raise RuntimeError(f"cannot seal {answers}")

    monkeypatch.setattr(sys.modules["intake"], "seal", fail)
    response, text = client.send(GOOD)
    assert response.status == 500
    assert SENTINEL not in text
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_said_without_the_answer(client: Client, capfd: Any) -> None:
    client.inbox.rmdir()
    response, text = client.send(GOOD)
    client.inbox.mkdir()
    assert response.status == 503
    assert SENTINEL not in text
    assert capfd.readouterr() == ("", "")


def test_the_one_command(tmp_path: Path) -> None:
    """The program as typed: a rehearsal, two reports, a bad one, Ctrl-C; then nothing is found."""
    plan, kept = tmp_path / "plan.toml", tmp_path / "kept"
    plan.write_text(PLAN, encoding="utf-8")
    words = ["--port", "0", "--plan", str(plan), "--keep", str(kept)]
    ran = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "run.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert ran.stdout is not None
        said, port = "", 0
        for line in ran.stdout:
            said += line
            if found := re.match(r"http://127\.0\.0\.1:(\d+)/", line):
                port = int(found[1])
                break
        assert port, said
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        receipts = []
        for fields in (GOOD, [("region", f"{SENTINEL}")], GOOD):
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            line.request("POST", f"/?{SENTINEL}", urlencode(fields), kind)
            text = line.getresponse().read().decode()
            receipts += re.findall(r"<code>(\w{64})</code>", text)
        line.close()
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=600)
    finally:
        ran.kill()
        ran.wait()
    assert (ran.returncode, err) == (0, "")
    assert "Relayed 2 reports, with 98 blank ones" in out
    assert len(receipts) == 2
    assert len(list((kept / "inbox").iterdir())) == 2
    assert TOLD.search(f'"POST /?{SENTINEL} HTTP/1.1"'.encode())
    assert not TOLD.search((said + out + err).encode())
    for path in kept.rglob("*"):
        assert not path.is_file() or not TOLD.search(path.read_bytes()), path
