"""Text to token windows, with a tokenizer of one token a character."""

import json

import numpy as np
import pytest
import torch

from core.data.windows import calibration_windows, evaluation_windows
from core.spec import Calibration, Evaluation
from core.spec.errors import BadInput

LIMITS = {"context": 64, "vocabulary": 256}


def encode(text: str) -> list[int]:
    return [ord(letter) % 256 for letter in text]


@pytest.fixture
def alphabet(tmp_path):
    (tmp_path / "a.txt").write_text("".join(chr(33 + i % 90) for i in range(1000)))
    return f"text:{tmp_path / 'a.txt'}"


def test_evaluation_reads_on_without_overlap_and_drops_the_tail(alphabet):
    windows = evaluation_windows(Evaluation(source=alphabet, length=30), encode, **LIMITS).tokens
    assert windows.shape == (33, 30)
    assert windows.flatten().tolist() == encode("".join(chr(33 + i % 90) for i in range(990)))
    assert torch.equal(evaluation_windows(Evaluation(source=alphabet, length=30, windows=4), encode, **LIMITS).tokens, windows[:4])


def test_automatic_length_is_the_context_up_to_2048(alphabet):
    assert evaluation_windows(Evaluation(source=alphabet), encode, **LIMITS).tokens.shape[1] == 64
    assert evaluation_windows(Evaluation(source="embedded"), encode, 100_000, 256).tokens.shape[1] == 2048


def test_calibration_draws_different_windows_by_its_seed(alphabet):
    def draw(seed):
        return calibration_windows(Calibration(source=alphabet, windows=20, length=30, seed=seed), encode, **LIMITS).tokens

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    consecutive = {tuple(row) for row in evaluation_windows(Evaluation(source=alphabet, length=30), encode, **LIMITS).tokens.tolist()}
    assert {tuple(row) for row in draw(0).tolist()} <= consecutive


def test_calibration_from_documents_stays_inside_each(tmp_path):
    documents = [letter * size for letter, size in (("a", 50), ("b", 200), ("c", 10))]
    (tmp_path / "d.json").write_text(json.dumps(documents))
    tokens = calibration_windows(Calibration(source=f"text:{tmp_path / 'd.json'}", windows=9, length=40), encode, **LIMITS).tokens
    assert tokens.shape == (9, 40)
    assert {tuple(set(row)) for row in tokens.tolist()} == {(97,), (98,)}


@pytest.mark.parametrize(("make", "spec", "words"), [
    (calibration_windows, Calibration(windows=40, length=30), r"windows: 40 .* 1 to 33"),
    (calibration_windows, Calibration(length=65), r"calibration_length: 65 .* 2 to 64"),
    (evaluation_windows, Evaluation(length=65), r"evaluation_length: 65 .* 2 to 64"),
])
def test_what_does_not_fit_says_what_does(alphabet, make, spec, words):
    with pytest.raises(BadInput, match=words):
        make(spec.model_copy(update={"source": alphabet}), encode, **LIMITS)


@pytest.mark.parametrize("make", [calibration_windows, evaluation_windows])
@pytest.mark.parametrize("documents", [["short"], ["short", "too"]])
def test_text_too_short_for_one_window(tmp_path, make, documents):
    (tmp_path / "s.json").write_text(json.dumps(documents))
    kind = Calibration if make is calibration_windows else Evaluation
    with pytest.raises(BadInput, match="more than one window of 64 tokens"):
        make(kind(source=f"text:{tmp_path / 's.json'}"), encode, **LIMITS)


def test_ready_windows(tmp_path):
    array = np.arange(60).reshape(6, 10)
    np.save(tmp_path / "w.npy", array)
    source = f"windows:{tmp_path / 'w.npy'}"
    assert calibration_windows(Calibration(source=source, windows=4), encode, **LIMITS).tokens.tolist() == array[:4].tolist()
    assert evaluation_windows(Evaluation(source=source), encode, **LIMITS).tokens.tolist() == array.tolist()
    with pytest.raises(BadInput, match="1 to 6"):
        calibration_windows(Calibration(source=source, windows=7), encode, **LIMITS)
    with pytest.raises(BadInput, match="0 to 58, this model's vocabulary"):
        evaluation_windows(Evaluation(source=source), encode, 64, 59)
    with pytest.raises(BadInput, match="2 to 9, the context"):
        evaluation_windows(Evaluation(source=source), encode, 9, 256)


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros(3, int), np.array([[object()]], dtype=object)])
def test_windows_of_another_form(tmp_path, array):
    np.save(tmp_path / "w.npy", array, allow_pickle=True)
    with pytest.raises(BadInput, match="integers"):
        evaluation_windows(Evaluation(source=f"windows:{tmp_path / 'w.npy'}"), encode, **LIMITS)
