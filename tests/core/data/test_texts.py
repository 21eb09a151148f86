"""What a text source means, and what is said when it is not there."""

import json
import os

import pytest

from core.data.texts import read_text, text_revision
from core.spec.errors import BadInput


def write(path, content):
    path.write_text(content)
    return f"text:{path}"


def test_plain_json_and_jsonl_documents(tmp_path):
    assert read_text(write(tmp_path / "a.txt", "one\n\ntwo"), "evaluation").documents == ["one\n\ntwo"]
    assert read_text(write(tmp_path / "a.json", json.dumps(["one", {"text": "two"}])), "evaluation").documents == ["one", "two"]
    assert read_text(write(tmp_path / "a.jsonl", '{"text": "one"}\n\n{"text": "two"}\n'), "evaluation").documents == ["one", "two"]


def test_revision_is_of_the_content_and_a_changed_file_is_read_again(tmp_path):
    source = write(tmp_path / "a.txt", "one")
    before = text_revision(source, "calibration")
    os.utime(tmp_path / "a.txt", (1, 1))
    assert text_revision(source, "calibration") == before
    write(tmp_path / "a.txt", "two")
    assert text_revision(source, "calibration") != before
    assert text_revision("embedded", "calibration") != text_revision("embedded", "evaluation")


@pytest.mark.parametrize(("name", "content", "words"), [
    ("missing.txt", None, "a file that exists"), ("empty.txt", "", "1 byte"), ("blank.txt", "  \n", "with text in it"),
    ("bad.jsonl", '{"other": 1}', "line 1 has no field 'text', and no other that holds text"),
    ("bad.json", '{"a": 1}', "no list of strings"), ("bad.json", "{", "line 1 is no JSON"),
])
def test_unusable_files_say_what_is_allowed(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=words) as caught:
        read_text(f"text:{tmp_path / name}", "calibration")
    assert caught.value.field == "calibration"


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(BadInput, match="UTF-8"):
        read_text(f"text:{tmp_path / 'a.txt'}", "evaluation")


@pytest.mark.parametrize("name", ["c4", "wikitext2", "nobody/nothing"])
def test_hub_out_of_reach(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match="Offline, use embedded") as caught:
        text_revision(f"hub:{name}", "evaluation")
    assert caught.value.field == "evaluation"


def test_hub_commit_from_the_cache_when_offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    reference = tmp_path / "datasets--allenai--c4" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("abc123\n")
    assert text_revision("hub:c4", "calibration").endswith("@abc123")


@pytest.mark.parametrize("name", ["/etc", "../x", "core/demo", "a/b/c", "-x", ".hidden/x", "a b"])
def test_a_hub_name_is_no_folder(name, root, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(BadInput, match="For a file use text:FILE"):
        read_text(f"hub:{name}", "calibration")


@pytest.mark.parametrize("place", ["/etc/passwd", "https://example.org/x.txt", "hf://datasets/other/name@0/x.txt", "zip://x::/secret.zip"])
def test_a_data_set_that_names_files_elsewhere_is_refused(place, monkeypatch):
    class Builder:
        class config:
            data_files = {"train": ["hf://datasets/owner/name@0/x.txt", place]}  # noqa: RUF012

        def download_and_prepare(self):
            raise AssertionError("read")

    monkeypatch.setattr("datasets.load_dataset_builder", lambda *_, **__: Builder())
    with pytest.raises(BadInput, match="files elsewhere"):
        read_text("hub:owner/name", "calibration")


def test_a_data_set_is_read_through_its_builder(tmp_path, monkeypatch):
    """The library's own path, on a folder that stands for a repository."""
    import datasets

    (tmp_path / "data.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    builder = datasets.load_dataset_builder("json", data_files=str(tmp_path / "data.jsonl"), cache_dir=str(tmp_path / "cache"))
    expected = datasets.load_dataset("json", data_files=str(tmp_path / "data.jsonl"), cache_dir=str(tmp_path / "other"), split="train")
    monkeypatch.setattr("core.data.texts._check_place", lambda *_: None)
    monkeypatch.setattr("datasets.load_dataset_builder", lambda *_, **__: builder)
    found = read_text("hub:owner/name:default:train", "calibration")
    assert list(found.documents) == list(expected["text"]) == ["one", "two"]
