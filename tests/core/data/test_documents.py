"""Text files as other people and tools write them: read as meant, or refused with line and remedy."""

import codecs
import hashlib
import json
from contextlib import suppress

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.data.documents import read_documents
from core.data.drawing import from_many
from core.data.forms import Unreadable, form_of
from core.data.reading import first_tokens
from core.data.texts import Text, read_text, text_revision
from core.spec import Calibration
from core.spec.errors import BadInput

TEXT = "Ein Öl-Bild, \u2028 ein Wort\u0085 und 日本"


def documents(path, field=None):
    return read_documents(path, form_of(path), field)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "b.jsonl", "C.JSONL", "d.ndjson", "e.json", "f"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_mark_and_line_ending_is_read_as_meant(tmp_path, encoding, name, ending):
    if name.lower().endswith("l") or "nd" in name:
        content, meant = f'{{"text": "eins"}}{ending}{ending}{json.dumps({"text": TEXT}, ensure_ascii=False)}{ending}', ["eins", TEXT]
    elif name.endswith(".json"):
        content, meant = json.dumps([TEXT, {"text": "zwei"}], ensure_ascii=False, indent=1).replace("\n", ending), [TEXT, "zwei"]
    else:
        content, meant = f"eins{ending}{TEXT}{ending}", [f"eins\n{TEXT}\n"]
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    (tmp_path / name).write_bytes(mark + content.encode(encoding))
    assert documents(tmp_path / name) == meant


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.txt", b"gut\nschl\xe9cht", "line 2: byte 9 is no UTF-8. Save it as UTF-8"),
    ("a.txt", b'{"text": "a"}\n{"text": "b"}\n', "name the file .jsonl"),
    ("a.jsonl", b'{"text": "a"}\n{"text": null}\n', "line 2: its field 'text' is null, no text"),
    ("a.jsonl", b'{"text": "a"}\n{"text": 3}\n', "line 2: its field 'text' is 3"),
    ("a.jsonl", b'{"text": "a"}\n\n{"text": \n', "line 3 is no JSON"),
    ("a.jsonl", b'{"content": "a", "id": 1}\n', "it has content: ask for text:FILE:content"),
    ("a.jsonl", b'["a"]\n', "line 1 is no object"),
    ("a.json", b'{"text": "a"}\n{"text": "b"}\n', "one object a line; name it .jsonl"),
    ("a.json", b'["a", null]', "entry 2 is no object"),
    ("a.json", b'{"data": ["a"]}', "no list of strings"),
    ("a.csv", b"id,content\n1,a\n", "no column 'text'; it has id, content"),
    ("a.parquet", b"PAR1 and then nothing", "no parquet table"),
    ("a.txt", "first\nsecond".encode("utf-16-le"), "line 1 holds a zero character: it is no text, or UTF-16 without its mark"),
    ("a.txt", b"first\nsec\0nd", "line 2 holds a zero character"),
    ("a.jsonl.gz", b"\x1f\x8b\x08\0rest", "it is a gzip file: unpack it"),
    ("a.txt", b"PK\x03\x04rest", "it is a zip file: unpack it"),
    ("a.csv", b"\x1f\x8b\x08\0rest", "it is a gzip file: unpack it"),
    ("a.txt", b"%PDF-1.7\n", "it is a PDF file: save its text as a file"),
    ("a.csv", b"id;content\n1;some text\n", "no column 'text'; it has id, content: ask for text:FILE:content"),
    ("a.txt", b'[{"text": "a"}, {"text": "b"}]', "it is JSON: name the file .json"),
    ("a.txt", b'{"text": "a"}\n', "it is JSON"),
    ("a", b'{"data":\n [{"text": "a"}]}', "it is JSON"),
    ("a.jsonl", b'[{"text": "a"},\n{"text": "b"}]\n', "it holds one JSON list: name it .json"),
    ("a.jsonl", b'{"text": "a"}\n{"text": "b \\ud83d"}\n', "line 2: its text holds half a character (\\ud83d"),
    ("a.json", b'["\\udc00"]', "entry 1: its text holds half a character"),
    ("a.csv", b"id,text\n1,one, two\n", "line 2 has 3 columns and the header 2: put a text"),
    ("a.csv", b'id,text\n1,"a\nb"\n2\n', "line 4 has 1 columns and the header 2: complete the row"),
    ("a.csv", b'id,text\n1,a\n2,"b\n3,c\n', "line 3: its double quotes do not fit"),
    ("a.csv", b"id,text\n1,gr\xf6n\n", "line 2: byte 13 is no UTF-8"),
    ("a.csv", b"id,text\n1,12\n2,3.5\n", "column 'text' holds numbers alone ('12' in the first row)"),
    ("a.csv", b"text,text\na,b\n", "2 of its columns are called 'text'"),
    ("a.csv", b"id,text\n", "no row below its header"),
    ("a.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "it is a Git LFS pointer in the place of the text"),
    ("a.docx", b"PK\x03\x04rest", "it is a document of an office program (.docx)"),
])
def test_what_is_something_else_is_refused_with_place_and_remedy(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as refused:
        read_text(f"text:{tmp_path / name}", "calibration")
    assert words in str(refused.value)
    assert refused.value.field == "calibration"


def test_tables_and_named_fields(tmp_path):
    from datasets import Dataset

    rows = {"text": ["eins", "NA"], "body": ["one, two", "three"]}
    Dataset.from_dict(rows).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text('text,body\neins,"one, two"\nNA,three\n')
    (tmp_path / "a.tsv").write_text("text\tbody\neins\tone, two\nNA\tthree\n")
    lines = [json.dumps({"text": text, "body": body}) for text, body in zip(*rows.values(), strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    for name in ("a.parquet", "a.csv", "a.tsv", "a.jsonl"):
        assert documents(tmp_path / name) == rows["text"], name
        found = read_text(f"text:{tmp_path / name}:body", "evaluation")
        assert list(found.documents) == rows["body"]
        assert found.description == f"{name}, field body"
        assert found.sha256 == text_revision(f"text:{tmp_path / name}:body", "evaluation")
        assert found.sha256 != text_revision(f"text:{tmp_path / name}", "evaluation")


def test_a_name_with_a_colon_is_a_file_where_there_is_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"b": "field"}\n')
    assert read_text(f"text:{tmp_path / 'a.jsonl'}:b", "evaluation").documents == ["field"]
    (tmp_path / "a.jsonl:b").write_text("file")
    assert read_text(f"text:{tmp_path / 'a.jsonl'}:b", "evaluation").documents == ["file"]
    (tmp_path / "b.jsonl").write_text('{"b:c": "field"}\n')
    assert read_text(f"text:{tmp_path / 'b.jsonl'}:b:c", "evaluation").documents == ["field"]


def test_the_address_is_the_hash_of_the_bytes_unless_they_were_read_in_another_way(tmp_path):
    for name, content in (("a.txt", b"one\ntwo"), ("a.jsonl", b'{"text": "a"}\r\n'), ("a.json", b'["a"]')):
        (tmp_path / name).write_bytes(content)
        assert text_revision(f"text:{tmp_path / name}", "evaluation") == hashlib.sha256(content).hexdigest()
    for name, content in (("b.txt", b"one\r\ntwo"), ("b.ndjson", b'{"text": "a"}\n'), ("c.txt", codecs.BOM_UTF8 + b"one")):
        (tmp_path / name).write_bytes(content)
        assert text_revision(f"text:{tmp_path / name}", "evaluation") != hashlib.sha256(content).hexdigest()


def test_runs_on_a_table_that_was_read_askew_are_not_found_again(tmp_path):
    """Tables were read with another library, which dropped a column where rows did not fit the header."""
    content = b"text,more\none,1\n"
    (tmp_path / "a.csv").write_bytes(content)
    then = hashlib.sha256(f"{hashlib.sha256(content).hexdigest()}\ncsv\n".encode()).hexdigest()
    assert text_revision(f"text:{tmp_path / 'a.csv'}", "evaluation") != then


@pytest.mark.parametrize(("name", "content", "meant"), [
    ("a.jsonl", b'{"text": "a"}\r{"text": "b"}\r', ["a", "b"]),
    ("a.jsonl", b'{"text": "a"}\n\xef\xbb\xbf{"text": "b"}\n', ["a", "b"]),  # two files, joined by `cat`
    ("a.jsonl", b'"a"\n"b"\n', ["a", "b"]),
    ("a.jsonl", b'{"text": "a \\ud83d\\ude00"}\n', ["a \N{GRINNING FACE}"]),
    ("a.csv", "id,text\n1,\N{SNOWMAN}\n".encode("utf-16"), ["\N{SNOWMAN}"]),
    ("a.csv", b"sep=;\nid;text\n1;a, b\n", ["a, b"]),
    ("a.csv", b"id;text;note, short\n1;a;b\n", ["a"]),
    ("a.csv", b"id, text\n1,007\n2,null\n3,\n4,x\n", ["007", "null", "", "x"]),
    ("a.csv", b'text\n"' + b"long " * 50_000 + b'"\n', ["long " * 50_000]),
])
def test_what_other_tools_write_is_read_as_meant(tmp_path, name, content, meant):
    (tmp_path / name).write_bytes(content)
    assert documents(tmp_path / name) == meant


@given(content=some.binary(min_size=1, max_size=80), suffix=some.sampled_from([".txt", ".json", ".jsonl", ".ndjson", ".csv", ".tsv"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    with suppress(Unreadable):
        assert all(isinstance(one.encode(), bytes) for one in documents(path))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_table_is_read_with_the_separator_of_its_header(tmp_path, separator):
    """Spreadsheets write semicolons where a comma is the decimal point."""
    (tmp_path / "a.csv").write_text(f'id{separator}text\n1{separator}"a; b, c | d"\n')
    assert documents(tmp_path / "a.csv") == ["a; b, c | d"]


def test_a_long_document_of_a_table_or_the_hub_is_read_where_windows_are_drawn(tmp_path, monkeypatch):
    """Not all of it is tokenized for the windows, and its address says that they are drawn by characters."""
    long = "a word and another " * 300_000
    pyarrow.parquet.write_table(pyarrow.table({"text": [long, "short"]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text(f"text\n{long}{long}\nshort\n")
    for name in ("a.parquet", "a.csv"):
        reader = CountingReader()
        text = read_text(f"text:{tmp_path / name}", "calibration")
        assert text.long
        assert text.sha256 == text_revision(f"text:{tmp_path / name}", "calibration")
        assert from_many(text, Calibration(windows=8), 64, reader, np.random.default_rng(0)).shape == (8, 64)
        assert reader.characters < 100_000
    monkeypatch.setattr("core.data.texts._hub_commit", lambda *_: "main")
    assert text_revision("hub:nobody/has-this:x:y", "calibration").endswith("@main+long")
    assert text_revision("hub:c4", "calibration").endswith("@main")


def test_documents_that_are_all_short_are_not_all_read_before_they_are_packed():
    reader = CountingReader()
    text = Text(documents=["only a few words here"] * 100_000, description="", sha256="")
    assert from_many(text, Calibration(windows=4), 32, reader, np.random.default_rng(0)) is None
    assert reader.characters <= 64 * 4 * 21


def test_the_first_windows_of_many_documents_need_only_the_first_documents():
    """And they are the same tokens as those of all documents joined."""
    documents, reader = ["first text, ", "second", "", *(f"{index} and so on" for index in range(50_000))], CountingReader()
    found = first_tokens(documents, 500, reader, special=False)
    assert reader.characters < 50_000
    assert np.array_equal(found[:500], reader.encode("\n\n".join(documents))[:500])


class CountingReader:
    """A token for each character; counts those that were read."""

    context, vocabulary, bos, separator = 512, 1 << 21, None, None

    def __init__(self):
        self.characters = 0

    def encode(self, text, *, special=True):
        self.characters += len(text)
        return [ord(letter) for letter in text]
