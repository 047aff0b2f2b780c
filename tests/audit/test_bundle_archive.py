"""The archive of a bundle: any unzip reads it, and its reader takes nothing else than it."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.errors import PoolError
from grievance.pool import archive
from grievance.pool.archive import MemberFile, checksum, directory, place_members, read_members

FILES = {"README.txt": b"hello\n", "pool/a.json": b"{}", "pool/b/c": b"x" * 3000, "pool/e": b""}


def build(files: dict[str, bytes]) -> bytes:
    members = place_members([(name, len(data), checksum(data)) for name, data in files.items()])
    parts = [member.local_header() + files[member.name] for member in members]
    return b"".join(parts) + directory(members)


def read(data: bytes) -> dict[str, bytes]:
    return {m.name: data[m.content : m.end] for m in read_members(io.BytesIO(data))}


def refused(data: bytes) -> str:
    with pytest.raises(PoolError) as stop:
        read_members(io.BytesIO(data))
    assert stop.value.code == "bundle.archive" and stop.value.hint
    return stop.value.message


names = st.from_regex(r"[a-z][a-z0-9.]{0,8}[a-z0-9](/[a-z][a-z0-9]{0,8}){0,2}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=200), max_size=6))
def test_reading_undoes_writing(files: dict[str, bytes]) -> None:
    assert read(build(files)) == files


@given(st.dictionaries(names, st.binary(max_size=200), min_size=1, max_size=6))
def test_the_standard_library_reads_it(files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(build(files))) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == files
        assert all(info.compress_type == zipfile.ZIP_STORED for info in found.infolist())
        assert {info.date_time for info in found.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("limit", [1, 100, 2000])
def test_large_sizes_and_places_are_written_in_64_bits(
    limit: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a smaller limit, so that no file of 4 GiB is needed."""
    monkeypatch.setattr(archive, "LIMIT_16", 2)
    large = archive.Member.large
    monkeypatch.setattr(
        archive.Member,
        "large",
        property(lambda m: m.size >= limit or m.start >= limit or large.fget(m)),  # type: ignore[attr-defined]
    )
    data = build(FILES)
    assert read(data) == FILES
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == FILES


def test_more_members_than_16_bits_count() -> None:
    files = {f"f{number}": b"" for number in range(70_000)}
    data = build(files)
    assert len(read_members(io.BytesIO(data))) == 70_000
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert len(found.namelist()) == 70_000


def test_a_directory_of_more_than_a_million_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    assert "more than 3" in refused(build(FILES))


def test_every_flipped_bit_outside_of_contents_is_refused() -> None:
    data = build(FILES)
    inside = {at for m in read_members(io.BytesIO(data)) for at in range(m.content, m.end)}
    for at in sorted(set(range(len(data))) - inside):
        for bit in range(8):
            broken = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            refused(broken)


def test_every_cut_and_every_extra_byte_is_refused() -> None:
    data = build(FILES)
    for size in range(len(data)):
        refused(data[:size])
    for broken in (data + b"\0", b"\0" + data, b"PK\3\4" + data, data + data, b""):
        refused(broken)


def with_zipfile(fill: Callable[[zipfile.ZipFile], None]) -> bytes:
    """What somebody with an ordinary zip program would hand in."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        fill(made)
    return buffer.getvalue()


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


HOSTILE: dict[str, Callable[[zipfile.ZipFile], None]] = {
    "a bomb": lambda z: z.writestr(entry("a"), bytes(10**6), zipfile.ZIP_DEFLATED),
    "a parent": lambda z: z.writestr(entry("../a"), b"x"),
    "a parent inside": lambda z: z.writestr(entry("pool/../../a"), b"x"),
    "an absolute path": lambda z: z.writestr(entry("/etc/passwd"), b"x"),
    "a drive": lambda z: z.writestr(entry("C:\\a"), b"x"),
    "a backslash": lambda z: z.writestr(entry("pool\\a"), b"x"),
    "a folder": lambda z: z.writestr(entry("pool/", 0o40755), b""),
    "a link": lambda z: z.writestr(entry("a", 0o120777), b"/etc/passwd"),
    "a device": lambda z: z.writestr(entry("a", 0o20666), b""),
    "a hidden name": lambda z: z.writestr(entry("pool/.hidden"), b"x"),
    "a name that is not ASCII": lambda z: z.writestr(entry("pool/\u00e9"), b"x"),
    "a name of a console": lambda z: z.writestr(entry("pool/a."), b"x"),
    "an empty name": lambda z: z.writestr(entry("pool//a"), b"x"),
    "out of order": lambda z: [z.writestr(entry(n), b"x") for n in "ba"] and None,
    "a case clash": lambda z: [z.writestr(entry(n), b"x") for n in "Aa"] and None,
    "a comment": lambda z: setattr(z, "comment", b"hello"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_other_programs_may_put_into_a_zip_is_refused(what: str) -> None:
    refused(with_zipfile(HOSTILE[what]))


def test_a_plain_zip_by_another_program_is_taken_only_in_our_form() -> None:
    assert read(with_zipfile(lambda z: z.writestr(entry("a"), b"x"))) == {"a": b"x"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_and_clashing_names_are_named() -> None:
    twice = with_zipfile(lambda z: [z.writestr(entry("a"), b"x") for _ in range(2)] and None)
    assert "twice" in refused(twice)
    assert "upper and lower case" in refused(build({"pool/A": b"", "pool/a": b""}))


def test_encrypted_members_are_refused() -> None:
    data = bytearray(build({"a": b"secret"}))
    for at in (6, data.index(b"PK\1\2") + 8):
        data[at] |= 1
    refused(bytes(data))


def test_overlapping_members_are_refused() -> None:
    """Two entries of the directory that point to one content: how bombs without layers work."""
    members = place_members([("a", 3, checksum(b"xyz")), ("b", 3, checksum(b"xyz"))])
    one, other = members
    same = archive.Member("b", 3, other.crc, 0)
    entries = one.central_header() + same.central_header()
    data = one.local_header() + b"xyz"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(entries), len(data), 0)
    refused(data + entries + end)


def test_sizes_beyond_the_file_are_refused_and_take_no_memory() -> None:
    for size in (2**31, 2**40, 2**62, 2**64 - 1):
        member = archive.Member("a", size, 0, 0)
        # A second one, whose place would not fit into 64 bits behind the largest.
        entries = member.central_header() + archive.Member("b", size, 0, 0).central_header()
        data = member.local_header() + b"x"
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(entries), len(data), 0)
        refused(data + entries + end)


def test_unzip_agrees(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(build(FILES))
    try:
        done = subprocess.run(
            ["unzip", "-tq", str(tmp_path / "a.zip")], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unzip on this machine")
    assert done.returncode == 0, done.stdout


@given(st.data())
def test_a_member_is_read_like_a_file(data: st.DataObject) -> None:
    import tempfile

    content = bytes(range(256)) * 4
    with tempfile.TemporaryFile() as file:
        file.write(build({"a": b"before", "m": content, "z": b"after"}))
        file.flush()
        member = read_members(file)[1]
        found = io.BufferedReader(MemberFile(file.fileno(), member), 64)  # type: ignore[arg-type]
        plain = io.BytesIO(content)
        for _ in range(5):
            at, size = data.draw(st.integers(0, 1100)), data.draw(st.integers(-1, 700))
            assert found.seek(at) == plain.seek(at)
            assert found.read(size) == plain.read(size)
        assert found.seek(0, io.SEEK_END) == len(content) and found.read() == b""
