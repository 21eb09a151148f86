"""Tasks by name: what is found, and the words for what cannot be used."""

import pytest

from core.evaluate.tasks import open_tasks, split_names
from core.spec.errors import BadInput
from tests.core.evaluate.task_files import CHOICE, ROWS, write_task


def refused(*names: str, folder=None, limit=None) -> BadInput:
    with pytest.raises(BadInput) as error:
        open_tasks(names, folder, limit)
    return error.value


def test_a_folders_task_finds_its_rows_beside_it_and_a_limit_takes_the_first(tmp_path):
    write_task(tmp_path, "story", ROWS)
    (whole,), (first,) = open_tasks(["story", "story"], tmp_path), open_tasks(["story"], tmp_path, 2)
    assert (whole.examples, whole.available, whole.limit) == (3, 3, None)
    assert (first.examples, first.available, first.limit) == (2, 3, 2)
    assert whole.content != first.content
    assert open_tasks(["story"], tmp_path, 3)[0].content == whole.content  # a limit that leaves nothing out is none


def test_content_follows_rows_and_templates_and_not_the_place(tmp_path):
    for place in ("a", "b"):
        write_task(tmp_path / place, "story", ROWS)
    write_task(tmp_path / "c", "story", [*ROWS[:2], ROWS[2] | {"gold": 1}])
    write_task(tmp_path / "d", "story", ROWS, CHOICE.replace("doc_to_text: query", 'doc_to_text: "{{query}}?"'))
    contents = [open_tasks(["story"], tmp_path / place)[0].content for place in "abcd"]
    assert contents[0] == contents[1]
    assert len(set(contents)) == 3


def test_an_unknown_task_is_told_with_the_nearest_names(tmp_path):
    write_task(tmp_path, "my_story", ROWS)
    assert "my_story" in refused("my_stori", folder=tmp_path).allowed
    assert "winogrande" in refused("winogrand").allowed


def test_broken_yaml_is_told_with_file_and_line(tmp_path):
    file = write_task(tmp_path, "story", ROWS)
    file.write_text(file.read_text().replace("output_type:", "output_type: [", 1))
    said = refused("story", folder=tmp_path)
    assert said.field == "task_folder"
    assert f"{file}, line 7" in str(said.value) or f"{file}, line 6" in str(said.value)


@pytest.mark.parametrize(("before", "after", "part"), [
    ("doc_to_text: query", "doc_to_txt: query", "no key 'doc_to_txt'"),
    ("test: story.jsonl", "test: elsewhere.jsonl", "no file"),
    ("doc_to_text: query", "doc_to_text: !function helpers.question", "helpers"),
])
def test_a_key_a_file_or_a_function_that_is_not_there_is_told_with_its_line(tmp_path, before, after, part):
    file = write_task(tmp_path, "story", ROWS)
    file.write_text(file.read_text().replace(before, after))
    said = refused("story", folder=tmp_path)
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if after.split()[-1] in text)
    assert f"{file}, line {line}" in str(said.value)
    assert part in said.remedy


@pytest.mark.parametrize("template", ["question", '"{{question}}"'])
def test_a_field_that_no_row_has_is_told(tmp_path, template):
    write_task(tmp_path, "story", ROWS, CHOICE.replace("doc_to_text: query", f"doc_to_text: {template}"))
    assert "question" in str(refused("story", folder=tmp_path))


def test_a_row_without_a_field_is_told_by_its_number(tmp_path):
    write_task(tmp_path, "story", [*ROWS[:2], {"choices": ["a", "b"], "gold": 1}])
    said = refused("story", folder=tmp_path)
    assert "row 3" in str(said.value)
    assert "'query'" in said.remedy
    assert open_tasks(["story"], tmp_path, 2)[0].examples == 2  # it is not among the first two


@pytest.mark.parametrize(("rows", "where"), [
    ('{"query": "a", "choices": ["b", "c"], "gold": 0}\n{"query": "a", "choi\n', "story.jsonl, line 2"),
    ('{"query": "a", "choices": ["b", "c"], "gold": 0}\n[1]\n', "story.jsonl, line 2"), ("", "story.jsonl")])
def test_rows_that_are_no_json_are_told_with_file_and_line(tmp_path, rows, where):
    write_task(tmp_path, "story", ROWS)
    (tmp_path / "story.jsonl").write_text(rows)
    assert str(refused("story", folder=tmp_path).value).endswith(where)


def test_a_broken_file_is_in_the_way_of_its_own_task_only(tmp_path):
    write_task(tmp_path, "story", ROWS)
    file = write_task(tmp_path, "broken", ROWS)
    file.write_text(file.read_text() + "metric_list: [\n")
    assert open_tasks(["story"], tmp_path)[0].examples == 3
    assert "broken.yaml, line" in str(refused("broken", folder=tmp_path).value)


def test_a_folder_without_tasks_is_told(tmp_path):
    assert refused("story", folder=tmp_path).field == "task_folder"
    assert open_tasks(["embedded_words"], tmp_path)[0].available == 300


def test_a_hub_out_of_reach_is_told(tmp_path, monkeypatch):
    def unreachable(*arguments, **keywords):
        raise ConnectionError("Couldn't reach 'baber/piqa' on the Hub")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    said = refused("piqa")
    assert "did not give its data" in said.remedy
    assert "--task-folder" in said.remedy


def test_names_and_limits(tmp_path):
    assert split_names(" a, b,,a") == ("a", "b")
    with pytest.raises(BadInput, match="separated by commas"):
        split_names(" , ")
    assert refused("a", limit=0).field == "limit"
    assert refused("a", folder=tmp_path / "none").field == "task_folder"
