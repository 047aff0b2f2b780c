"""Parquet files made by hand, byte by byte: a writer of Thrift's compact protocol, and lies.

Nothing here asks a library to write a file, so a file may say whatever an enemy wants it to.
Source: Apache Parquet format, parquet.thrift; docs/faults.md, fault E1.
"""

from __future__ import annotations

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
FLBA, REQUIRED, DATA, DICTIONARY = 7, 0, 0, 2
PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY, DELTA = 0, 2, 8, 7
UNCOMPRESSED, ZSTD = 0, 6


class Long(int):
    """A number that parquet.thrift declares as 64 bits wide; the others are 32."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def zigzag(value: int) -> bytes:
    return varint((value << 1) ^ (value >> 63))


def kind(value: object) -> int:
    """The code of a value's type: i32, i64, binary, list, struct."""
    return {int: 5, Long: 6, bytes: 8, list: 9, dict: 12}[type(value)]


def item(value: object) -> bytes:
    if isinstance(value, int):
        return zigzag(value)
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, list):
        inner = kind(value[0]) if value else 12
        size = bytes([len(value) << 4 | inner]) if len(value) < 15 else bytes([0xF0 | inner])
        return size + (varint(len(value)) if len(value) >= 15 else b"") + b"".join(map(item, value))
    return struct(value)


def struct(fields: object) -> bytes:
    assert isinstance(fields, dict)
    out, last = b"", 0
    for number, value in fields.items():
        code = kind(value)
        out += bytes([(number - last) << 4 | code]) + item(value)
        last = number
    return out + b"\0"


def page(kind_: int, encoding: int, values: int, body: bytes, size: int | None = None) -> bytes:
    """One page; `size` is what it claims to unfold to."""
    claimed = len(body) if size is None else size
    header: dict[int, object] = {1: kind_, 2: claimed, 3: len(body)}
    if kind_ == DICTIONARY:
        header[7] = {1: values, 2: encoding}
    else:
        header[5] = {1: values, 2: encoding, 3: 3, 4: 3}
    return struct(header) + body


def parquet(
    columns: list[tuple[str, int]],
    rows: int,
    pages: list[bytes],
    *,
    encodings: list[int] | None = None,
    codec: int = UNCOMPRESSED,
    dictionary_sizes: list[int] | None = None,
    magic: bytes = MAGIC,
    footer_rows: int | None = None,
    groups: int = 1,
) -> bytes:
    """A file with these column chunks; every group points at the same pages."""
    out, chunks = magic, []
    for index, ((name, _), data) in enumerate(zip(columns, pages, strict=True)):
        start = len(out)
        first = dictionary_sizes[index] if dictionary_sizes else 0
        meta: dict[int, object] = {
            1: FLBA,
            2: encodings or [PLAIN],
            3: [name.encode()],
            4: codec,
            5: Long(rows),
            6: Long(len(data)),
            7: Long(len(data)),
            9: Long(start + first),
        }
        if dictionary_sizes:
            meta[11] = Long(start)
        chunks.append({2: Long(start), 3: meta})
        out += data
    schema: list[dict[int, object]] = [{4: b"schema", 5: len(columns)}]
    schema += [{1: FLBA, 2: width, 3: REQUIRED, 4: name.encode()} for name, width in columns]
    group = {1: chunks, 2: Long(len(out)), 3: Long(rows)}
    total = rows * groups if footer_rows is None else footer_rows
    footer = struct({1: 2, 2: schema, 3: Long(total), 4: [group] * groups})
    return out + footer + len(footer).to_bytes(4, "little") + magic


def folded(columns: list[tuple[str, int]], rows: int, groups: int = 1) -> bytes:
    """One value a column and a run of `rows` references to it: hundreds of bytes, any size read."""
    pages, firsts = [], []
    for _, width in columns:
        first = page(DICTIONARY, PLAIN, 1, bytes(width))
        run = b"\x01" + varint(rows << 1) + b"\0"  # one bit wide, one run of index 0
        pages.append(first + page(DATA, RLE_DICTIONARY, rows, run))
        firsts.append(len(first))
    return parquet(
        columns,
        rows,
        pages,
        encodings=[PLAIN, RLE_DICTIONARY],
        dictionary_sizes=firsts,
        groups=groups,
    )


def catalogue(columns: list[tuple[str, int]]) -> dict[str, bytes]:
    """Small files that claim to be, or unfold into, gigabytes."""
    wide = sum(width for _, width in columns)
    plain = [page(DATA, PLAIN, 1, bytes(width)) for _, width in columns]
    huge = 2**31 - 1
    forged = [page(DATA, PLAIN, huge, bytes(width)) for _, width in columns]
    vast = [page(DATA, PLAIN, 1, bytes(width), size=huge) for _, width in columns]
    other = [(f"x{name}", width) for name, width in columns]
    good = parquet(columns, 1, plain)
    return {
        "a dictionary and one long run": folded(columns, 1_500_000_000 // wide),
        "the same in many row groups": folded(columns, 1_000_000, 14),
        "forged number of values": parquet(columns, huge, forged),
        "forged number of rows": parquet(columns, 1, plain, footer_rows=2**62),
        "forged page size": parquet(columns, 1, vast),
        "says it is compressed": parquet(columns, 1, plain, codec=ZSTD),
        "says it is encoded": parquet(columns, 1, plain, encodings=[DELTA]),
        "encrypted footer": parquet(columns, 1, plain, magic=ENCRYPTED),
        "many row groups on one page": parquet(columns, 1, plain, groups=14),
        "an extra column": parquet(
            [*columns, ("more", 1)], 1, [*plain, page(DATA, PLAIN, 1, b"x")]
        ),
        "other columns": parquet(other, 1, plain),
        "a column of a gigabyte": parquet([(name, 1 << 30) for name, _ in columns], 1, plain),
        "footer longer than the file": good[:-8] + b"\xff\xff\xff\x7f" + MAGIC,
        "footer of nothing": MAGIC + b"\0" * 4 + b"\0\0\0\0" + MAGIC,
        "a list of 2^31 columns": _long_list(),
        "structs without end": _deep(),
    }


def _long_list() -> bytes:
    footer = bytes([0x15]) + zigzag(2) + bytes([0x19, 0xFC]) + varint(huge_number())
    return MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC


def _deep() -> bytes:
    footer = bytes([0x1C]) * 500_000
    return MAGIC + footer + len(footer).to_bytes(4, "little") + MAGIC


def huge_number() -> int:
    return 2**31 - 1
