"""Zero-shot scores against log-likelihoods computed here, token by token, and the paired difference against its definition."""

import math
import statistics

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.evaluate.tasks import open_tasks
from core.evaluate.zero_shot import ZeroShot, score_tasks
from core.linalg.cancellation import cancel_unless
from core.models.blocks import map_blocks
from core.records.tasks import Score, TaskScores, average, average_difference
from core.spec import RunSpec
from core.spec.errors import BadInput, Cancelled
from tests.core.evaluate.task_files import CHOICE, ROWS, write_task

SPEC = RunSpec(model="stories260K", device="cpu")


@pytest.fixture
def stories(stories260k, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    return stories260k


def thinned(model) -> dict[str, torch.Tensor]:
    """Half of every row gone, by magnitude."""
    return {linear.name: linear.weight * (linear.weight.abs() >= linear.weight.abs().median(dim=1, keepdim=True).values)
            for linears in map_blocks(model).linears for linear in linears}


def picked(model, tokenizer, row, per_character: bool) -> int:
    """The answer with the largest log-likelihood after the question, or the largest of it per character."""
    found = []
    for choice in row["choices"]:
        question, whole = tokenizer(row["query"])["input_ids"], tokenizer(f"{row['query']} {choice}")["input_ids"]
        logits = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
        loss = sum(float(logits[place - 1, whole[place]]) for place in range(len(question), len(whole)))
        found.append(loss / len(choice) if per_character else loss)
    return max(range(len(found)), key=found.__getitem__)


def test_scores_are_those_of_log_likelihoods_computed_apart(stories, shared_data, tmp_path):
    file = shared_data / "tasks" / "arc_easy.jsonl"
    write_task(tmp_path, "science", file)
    (task,) = open_tasks(["science"], tmp_path, 24)
    scores = ZeroShot(SPEC).score(task)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32), AutoTokenizer.from_pretrained(stories)
    rows = [task.task.eval_docs[index] for index in range(24)]
    with torch.no_grad():
        for metric in ("acc", "acc_norm"):
            expected = [int(picked(model, tokenizer, row, metric == "acc_norm") == row["gold"]) for row in rows]
            assert scores.outcomes[metric] == "".join(map(str, expected))
            assert scores.scores[metric].value == pytest.approx(statistics.fmean(expected))
            assert scores.scores[metric].stderr == pytest.approx(statistics.stdev(expected) / math.sqrt(24))
    assert scores.outcomes["acc"] != scores.outcomes["acc_norm"]
    assert scores.chance == pytest.approx(statistics.fmean(1 / len(row["choices"]) for row in rows))
    assert (scores.examples, scores.available, scores.limited) == (24, 400, True)


def test_pruned_weights_are_scored_beside_the_dense_ones_and_paired(stories, shared_data, tmp_path):
    write_task(tmp_path, "everyday", shared_data / "tasks" / "piqa.jsonl")
    write_task(tmp_path, "story", ROWS)
    tasks = open_tasks(["everyday", "story"], tmp_path, 40)
    dense, heard = score_tasks(SPEC, tasks), []
    weights = thinned(ZeroShot(SPEC).model)
    pruned = score_tasks(SPEC, tasks, weights, dense, heard.append)
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0, 1)
    for name, scores in pruned.items():
        assert scores.dense == dense[name]
        assert TaskScores.model_validate_json(scores.model_dump_json()) == scores
    scores = pruned["everyday"]
    changes = [int(a) - int(b) for a, b in zip(dense["everyday"].outcomes["acc"], scores.outcomes["acc"], strict=True)]
    assert any(changes)
    found = scores.difference("acc")
    assert found is not None
    assert found.value == pytest.approx(statistics.fmean(changes))
    assert found.stderr == pytest.approx(statistics.stdev(changes) / math.sqrt(40))
    flat = scores.model_dump(mode="json")
    assert flat["difference"]["acc"] == pytest.approx(flat["dense"]["acc"] - flat["acc"])
    mean, change = average(pruned), average_difference(pruned)
    assert mean is not None
    assert change is not None
    assert mean.value == pytest.approx(statistics.fmean(one.scores["acc"].value for one in pruned.values()))
    assert change.value == pytest.approx(average(dense).value - mean.value)


def test_scores_of_the_same_model_are_the_same_and_differ_by_nothing(stories, tmp_path):
    write_task(tmp_path, "story", ROWS)
    tasks = open_tasks(["story"], tmp_path)
    model = ZeroShot(SPEC)
    weights = {linear.name: linear.weight.clone() for linears in map_blocks(model.model).linears for linear in linears}
    scores = score_tasks(SPEC, tasks, weights)["story"]
    assert scores.difference("acc") == Score(value=0, stderr=0)
    assert not scores.limited


def test_a_perplexity_is_no_mean_over_examples(stories, tmp_path):
    body = ("output_type: loglikelihood\ntest_split: test\ndoc_to_text: query\ndoc_to_target: answer\nmetric_list:\n"
            "  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}\n"
            "  - {metric: acc, aggregation: mean, higher_is_better: true}\n")
    write_task(tmp_path, "ends", [{"query": row["query"], "answer": " " + row["choices"][row["gold"]]} for row in ROWS], body)
    (task,) = open_tasks(["ends"], tmp_path)
    scores = score_tasks(SPEC, [task], thinned(ZeroShot(SPEC).model))["ends"]
    change = scores.difference("perplexity")
    assert change is not None
    assert change.value < 0
    assert change.stderr is None
    assert scores.chance is None
    assert scores.difference("acc").stderr is not None


def test_prompts_beyond_the_context_are_counted_and_answers_beyond_it_refused(stories, tmp_path):
    write_task(tmp_path, "long", [ROWS[0] | {"query": "a little dog " * 400}, ROWS[1]])
    scores = score_tasks(SPEC, open_tasks(["long"], tmp_path))["long"]
    assert scores.truncated == 1  # of the first row: one prompt, whatever the number of its answers
    write_task(tmp_path, "answer", [ROWS[0] | {"choices": ["a", "a little dog " * 400]}])
    with pytest.raises(BadInput, match="answers of at most 512 tokens"):
        score_tasks(SPEC, open_tasks(["answer"], tmp_path))


def test_a_tokenizer_without_a_begin_or_end_token_is_refused_where_one_is_needed(stories, tmp_path):
    write_task(tmp_path, "empty", [row | {"query": ""} for row in ROWS])
    (task,) = open_tasks(["empty"], tmp_path)
    model = ZeroShot(SPEC)
    assert model.score(task).examples == 3
    tokenizer = model._watched.tokenizer
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(BadInput, match="begin or an end token"):
        model.score(task)


def test_a_gold_answer_that_is_not_there_is_told_in_words(stories, tmp_path):
    write_task(tmp_path, "story", [ROWS[0], ROWS[1] | {"gold": 7}])
    with pytest.raises(BadInput, match="story, row 2"):
        score_tasks(SPEC, open_tasks(["story"], tmp_path))


def test_scoring_ends_where_nobody_waits(stories, shared_data, tmp_path):
    write_task(tmp_path, "everyday", shared_data / "tasks" / "piqa.jsonl")
    (task,) = open_tasks(["everyday"], tmp_path, 80)
    model, looked = ZeroShot(SPEC), []

    def wanted() -> bool:
        looked.append(None)
        return len(looked) < 2

    with cancel_unless(wanted), pytest.raises(Cancelled):
        model.score(task)
    assert len(looked) == 2


def test_few_shots_are_part_of_the_content(tmp_path):
    for place, shots in (("a", 0), ("b", 1)):
        body = CHOICE.replace("metadata:", f"fewshot_split: test\nnum_fewshot: {shots}\nmetadata:")
        write_task(tmp_path / place, "story", ROWS, body)
    assert open_tasks(["story"], tmp_path / "a")[0].content != open_tasks(["story"], tmp_path / "b")[0].content
