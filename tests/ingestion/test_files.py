"""CSV files: dialects that are found, lines that are broken, and that no more than some of a file is held."""

import codecs
import csv
import io
import random
import tracemalloc

import pytest

from ingestion import files
from ingestion.errors import SourceError
from ingestion.files import MISPLACED, CsvFile


@pytest.fixture
def written(tmp_path):
    """Writes a file, and opens it."""

    def written(data, **options):
        path = tmp_path / "f.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return CsvFile(path, **options)

    return written


def read(file, width=None, first=1, is_strict=True):
    """({number: cells}, {number: (reason, line)})."""
    rows, others = {}, {}
    for lines in file.lines(first, width or file.width, is_strict=is_strict):
        numbers = lines.table["number"].to_pylist()
        assert numbers == sorted(numbers) and lines.others == sorted(lines.others)
        columns = [column.to_pylist() for column in lines.table.columns[1:]]
        is_wide = lines.table.column_names[1:] == ["cells"]
        cells = map(tuple, columns[0]) if is_wide else zip(*columns, strict=True)
        rows |= dict(zip(numbers, cells, strict=True))
        others |= {number: (reason, line) for number, reason, line in lines.others}
    return rows, others


@pytest.mark.parametrize("wide", [2, files.WIDE])
@pytest.mark.parametrize("block", [5, 64, files.BLOCK])
def test_broken_lines_are_put_aside_alone_and_as_they_stand(written, block, wide, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", block)
    monkeypatch.setattr(files, "WIDE", wide)
    lines = [b"a,b", b'1,5" pipe', b'2,"open', b'3,"x"y', b'4,"fine', b'over ""two"""', b"", b"5", b"6,x,y", b"7,\xe9"]
    file = written(b"\r\n".join([*lines, b" ,", b'8,"",', b"9,"]), encoding="utf-8")
    rows, others = read(file, 2)
    assert rows == {
        1: ("a", "b"),
        2: ("1", '5" pipe'),
        5: ("4", 'fine\r\nover "two"'),
        11: (" ", None),
        13: ("9", None),
    }
    assert others == {
        3: (MISPLACED, '2,"open'),
        4: (MISPLACED, '3,"x"y'),
        8: ("1 cells where the header has 2", "5"),
        9: ("3 cells where the header has 2", "6,x,y"),
        10: ("bytes that are not utf-8", "7,\\xe9"),
        12: ("3 cells where the header has 2", '8,"",'),
    }


def as_csv_reads(text, width):
    """The records as Python's csv has them, read from each line on that no record before it holds."""
    lines, rows, put_aside, place = list(io.StringIO(text, newline="")), {}, {}, 0
    while place < len(lines):
        reader = csv.reader(lines[place:], strict=True)
        try:
            cells, after = next(reader), place + reader.line_num
        except csv.Error:
            cells, after = None, place + 1
        if cells is not None and len(cells) != width and after > place + 1:
            cells, after = None, place + 1
        raw = "".join(lines[place:after])
        if cells is None or (len(cells) != width and raw.strip()):
            put_aside[place + 1] = raw.rstrip("\r\n")
        elif any(cell.strip() for cell in cells):
            rows[place + 1] = tuple(cell or None for cell in cells)
        place = after
    return rows, put_aside


@pytest.mark.parametrize("wide", [1, files.WIDE])
def test_lines_are_read_as_csv_reads_them_one_by_one(written, wide, monkeypatch):
    """Random texts of quotes, delimiters and line breaks, in blocks of any size."""
    monkeypatch.setattr(files, "WIDE", wide)
    pieces = ["a", "1", '"', '""', ",", ",", "\n", "\r\n", "\r", " ", "é", '"x"', '"a,b"', '"a\nb"', '",', '\n"', ";"]
    cells = ["", "1", "abc", '"q"', '"a ""b"""', '"x\ny"', "é", '5" pipe', ' "z"', '"a,b"']
    for seed in range(300):
        chance = random.Random(seed)
        width = chance.randint(1, 4)
        lines = [
            ",".join(chance.choices(cells, k=width))
            if chance.random() < 0.6
            else "".join(chance.choices(pieces, k=chance.randint(0, 8)))
            for _ in range(chance.randint(1, 12))
        ]
        text = chance.choice(["\n", "\r\n"]).join(lines) + chance.choice(["\n", ""])
        monkeypatch.setattr(files, "BLOCK", chance.choice([7, 16, 64, 4096]))
        rows, others = read(written(text, encoding="utf-8", delimiter=","), width)
        filled = {number: row for number, row in rows.items() if any(cell and cell.strip() for cell in row)}
        assert (filled, {number: line for number, (_, line) in others.items()}) == as_csv_reads(text, width), seed


@pytest.mark.parametrize(
    ("data", "encoding", "cell"),
    [
        ("a;b\n1;Müller €\n".encode(), "utf-8", "Müller €"),
        (codecs.BOM_UTF8 + "a;b\n1;Müller\n".encode(), "utf-8", "Müller"),
        ("a;b\n1;Müller €\n".encode("cp1252"), "cp1252", "Müller €"),
        ("a;b\r\n1;Müller €\r\n".encode("utf-16"), "utf-16", "Müller €"),
        (codecs.BOM_UTF16_BE + "a;b\n1;Müller\n".encode("utf-16-be"), "utf-16", "Müller"),
        (b"a;b\n" + (b"x" * 1000 + b";1\n") * 6000 + "1;Müller\n".encode("cp1252"), "cp1252", "Müller"),
        ("a;b\n1;M\ufffdller\n".encode(), "utf-8", "M\ufffdller"),
    ],
    ids=["utf-8", "with a mark", "cp1252", "utf-16", "utf-16 of the other order", "late", "replaced before"],
)
def test_the_encoding_is_found(written, data, encoding, cell):
    file = written(data)
    assert file.encoding == encoding and file.delimiter == ";"
    assert next(file.head()) == (1, 2, ["a", "b"])
    rows, others = read(file)
    assert rows[max(rows)][1] == cell and not others


def test_one_damaged_line_makes_no_other_encoding(written):
    rows, others = read(written("a;b\n1;Müller\n2;Größe\n".encode() + b"3;Zo\xc3\n"))
    assert [cells[1] for cells in rows.values()] == ["b", "Müller", "Größe"] and [*others] == [4]


@pytest.mark.parametrize(
    ("text", "delimiter", "width"),
    [
        ("a,b,c\n1,2,3\n", ",", 3),
        ("name;price\nx;1,5\ny;2,5\nz;3,25\n", ";", 2),
        ('a\tb\n"1;2;3"\t"x,y,z"\n', "\t", 2),
        ("a|b\n1|2\n", "|", 2),
        ("Stock of March\n\nSKU;Units\nA;1\nB;2\n", ";", 2),
        ("one column\nwithout, well\nany\n", ",", 2),
        ("a\nb\n", ",", 1),
        ("", ",", 1),
    ],
)
def test_the_delimiter_is_found(written, text, delimiter, width):
    file = written(text)
    assert (file.delimiter, file.width) == (delimiter, width)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "klingon"}, "unknown encoding: klingon"),
        ({"delimiter": "||"}, r"a delimiter is one character, as , ; or |: not '\|\|'"),
        ({"delimiter": "§"}, "a delimiter is one character"),
        ({"delimiter": '"'}, "a delimiter is one character"),
    ],
)
def test_a_dialect_that_there_is_not(written, options, message):
    with pytest.raises(SourceError, match=message):
        written("a,b\n", **options)


def test_bytes_that_the_declared_encoding_does_not_have(written):
    rows, others = read(written(b"a;b\n1;M\x81ller\n2;x\n", encoding="cp1252"))
    assert others == {2: ("bytes that are not cp1252", "1;M\\x81ller")} and rows[3] == ("2", "x")
    with pytest.raises(SourceError, match="its last bytes are not utf-16: it is cut off"):
        read(written("a;b\n".encode("utf-16") + b"x"))


def test_the_head_tells_where_its_records_are_and_reading_goes_on_after_it(written):
    file = written('Stock\n"of\nMarch"\n\na,b\n1,2\n')
    assert list(file.head()) == [
        (1, 2, ["Stock"]),
        (2, 4, ["of\nMarch"]),
        (4, 5, []),
        (5, 6, ["a", "b"]),
        (6, 7, ["1", "2"]),
    ]
    assert read(file, 2, first=6) == ({6: ("1", "2")}, {})


def test_a_second_table_is_of_another_width_and_its_lines_are_kept(written):
    file = written('a,b,c\n1,2,3\n\nx,y\n9,"8\n7"\n4,5,6\n')
    rows, others = read(file, 3)
    assert rows == {1: ("a", "b", "c"), 2: ("1", "2", "3"), 7: ("4", "5", "6")}
    assert {number: line for number, (_, line) in others.items()} == {4: "x,y", 5: '9,"8', 6: '7"'}
    _, others = read(file, 3, is_strict=False)
    assert {number: file.cells(line) for number, (_, line) in others.items()} == {4: ["x", "y"], 5: ["9", "8\n7"]}
    assert file.cells('2,"open') == ["2", '"open']


def test_a_quote_that_is_never_closed_costs_its_line_only(written, monkeypatch):
    """And is looked for in some of the file only."""
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(files, "LONGEST", 5000)
    sizes, taken_apart = [], CsvFile._taken_apart

    def noted(self, text, *options):
        sizes.append(len(text))
        return taken_apart(self, text, *options)

    monkeypatch.setattr(CsvFile, "_taken_apart", noted)
    rows, others = read(written("a,b\n1,2\n" * 100 + '3,"open\n' + "4,5\n" * 10_000))
    assert others == {201: (MISPLACED, '3,"open')} and len(rows) == 10_200
    assert max(sizes) <= 5000 + 2 * 1000


def test_lines_that_end_with_a_carriage_return_alone(written, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(files, "LONGEST", 5000)
    rows, others = read(written('a,b\r1,"x\ry"\r' * 1000))
    assert len(rows) == 2000 and rows[5] == ("1", "x\ry") and not others


def test_what_is_no_file_of_lines(written, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(files, "LONGEST", 5000)
    with pytest.raises(SourceError, match="line 2 has more than 5,000 bytes: this is no file of lines"):
        read(written("a,b\n" + "x" * 10_000))


def test_memory_does_not_grow_with_the_file(written, monkeypatch):
    """Neither for clean lines, nor for those that go on in the next one, nor for broken ones."""
    monkeypatch.setattr(files, "BLOCK", 2**14)
    monkeypatch.setattr(files, "SAMPLE", 2**14)
    peaks = []
    for size in (1, 10):
        file = written(('1,2,"three\n3"\n' * 500 + "4,5,6\n" * 2500 + "7\n" * 100) * size)
        tracemalloc.start()
        count = sum(lines.table.num_rows for lines in file.lines(1, 3, is_strict=True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == 3_000 * size
    assert peaks[1] < 2 * peaks[0]
