"""The task made from the embedded text."""

import collections
import re

from core.data.corpus import embedded_text
from core.evaluate.embedded_task import ANSWERS, EXAMPLES, NAME, rows
from core.evaluate.tasks import open_tasks
from core.evaluate.zero_shot import score_tasks
from core.spec import RunSpec


def test_rows_are_held_out_sentences_with_one_word_that_was_used_before():
    text = " ".join(embedded_text("evaluation").text.split())
    found = rows()
    assert len(found) == EXAMPLES
    assert len({row["query"] for row in found}) == EXAMPLES
    for row in found:
        used = re.findall(r"[a-z]+", row["query"].lower())
        assert len(set(row["choices"])) == ANSWERS
        assert [choice in used for choice in row["choices"]].count(True) == 1
        assert row["choices"][row["gold"]] in used
        assert f"{row['query']} {row['choices'][row['gold']]}." in text
    places = collections.Counter(row["gold"] for row in found)
    assert max(places.values()) < EXAMPLES / 3  # no place of the right answer is worth guessing


def test_the_dense_demo_is_far_above_chance():
    (task,) = open_tasks([NAME], limit=30)
    scores = score_tasks(RunSpec(device="cpu"), [task])[NAME]
    assert scores.chance == 1 / ANSWERS
    assert scores.scores["acc"].value > scores.chance + 5 * scores.scores["acc"].stderr
    assert scores.truncated == 0
