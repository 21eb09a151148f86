"""Text to token windows, with a tokenizer of one token a character."""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from core.data.reading import window_at
from core.data.texts import text_revision
from core.data.windows import calibration_windows, evaluation_windows
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import BadInput

BOS, EOS = 1, 2


def encode(text: str) -> list[int]:
    return [ord(letter) % 256 for letter in text]


@dataclass(frozen=True, kw_only=True)
class Letters:
    """A tokenizer of one token a letter. `begins`: it puts the BOS token before each text by itself."""

    context: int = 64
    vocabulary: int = 256
    bos: int | None = BOS
    separator: int | None = EOS
    begins: bool = False
    read: list[int] = field(default_factory=list)  # the lengths of the texts that were encoded

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        self.read.append(len(text))
        return [self.bos] * (special and self.begins) + encode(text)


LETTERS = Letters()


@pytest.fixture
def alphabet(tmp_path):
    (tmp_path / "a.txt").write_text("".join(chr(33 + i % 90) for i in range(1000)))
    return f"text:{tmp_path / 'a.txt'}"


def test_evaluation_reads_on_without_overlap_and_drops_the_tail(alphabet):
    windows = evaluation_windows(Evaluation(source=alphabet, length=30), LETTERS).tokens
    assert windows.shape == (33, 30)
    assert windows.flatten().tolist() == encode("".join(chr(33 + i % 90) for i in range(990)))
    assert torch.equal(evaluation_windows(Evaluation(source=alphabet, length=30, windows=4), LETTERS).tokens, windows[:4])


def test_automatic_length_is_the_context_up_to_2048(alphabet):
    assert evaluation_windows(Evaluation(source=alphabet), LETTERS).tokens.shape[1] == 64
    assert evaluation_windows(Evaluation(source="embedded"), Letters(context=100_000)).tokens.shape[1] == 2048


def test_calibration_draws_different_windows_by_its_seed(alphabet):
    def draw(seed):
        return calibration_windows(Calibration(source=alphabet, windows=20, length=30, seed=seed), LETTERS).tokens

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    consecutive = {tuple(row) for row in evaluation_windows(Evaluation(source=alphabet, length=30), LETTERS).tokens.tolist()}
    assert {tuple(row) for row in draw(0).tolist()} <= consecutive


def test_calibration_from_documents_stays_inside_each(tmp_path):
    documents = [letter * size for letter, size in (("a", 50), ("b", 200), ("c", 10))]
    (tmp_path / "d.json").write_text(json.dumps(documents))
    tokens = calibration_windows(Calibration(source=f"text:{tmp_path / 'd.json'}", windows=9, length=40), LETTERS).tokens
    assert tokens.shape == (9, 40)
    assert {tuple(set(row)) for row in tokens.tolist()} == {(97,), (98,)}


@pytest.mark.parametrize(("make", "spec", "words"), [
    (calibration_windows, Calibration(windows=40, length=30), r"windows: 40 .* 1 to 33"),
    (calibration_windows, Calibration(length=65), r"calibration_length: 65 .* 2 to 64"),
    (evaluation_windows, Evaluation(length=65), r"evaluation_length: 65 .* 2 to 64"),
])
def test_what_does_not_fit_says_what_does(alphabet, make, spec, words):
    with pytest.raises(BadInput, match=words):
        make(spec.model_copy(update={"source": alphabet}), LETTERS)


@pytest.mark.parametrize("make", [calibration_windows, evaluation_windows])
@pytest.mark.parametrize("documents", [["short"], ["short", "too"]])
def test_text_too_short_for_one_window(tmp_path, make, documents):
    (tmp_path / "s.json").write_text(json.dumps(documents))
    kind = Calibration if make is calibration_windows else Evaluation
    with pytest.raises(BadInput, match="more than one window of 64 tokens"):
        make(kind(source=f"text:{tmp_path / 's.json'}"), LETTERS)


def test_ready_windows(tmp_path):
    array = np.arange(60).reshape(6, 10)
    np.save(tmp_path / "w.npy", array)
    source = f"windows:{tmp_path / 'w.npy'}"
    assert calibration_windows(Calibration(source=source, windows=4), LETTERS).tokens.tolist() == array[:4].tolist()
    assert evaluation_windows(Evaluation(source=source), LETTERS).tokens.tolist() == array.tolist()
    with pytest.raises(BadInput, match="1 to 6"):
        calibration_windows(Calibration(source=source, windows=7), LETTERS)
    with pytest.raises(BadInput, match="0 to 58, this model's vocabulary"):
        evaluation_windows(Evaluation(source=source), Letters(vocabulary=59))
    with pytest.raises(BadInput, match="2 to 9, the context"):
        evaluation_windows(Evaluation(source=source), Letters(context=9))


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.zeros(3, int), np.array([[object()]], dtype=object)])
def test_windows_of_another_form(tmp_path, array):
    np.save(tmp_path / "w.npy", array, allow_pickle=True)
    with pytest.raises(BadInput, match="integers"):
        evaluation_windows(Evaluation(source=f"windows:{tmp_path / 'w.npy'}"), LETTERS)


@pytest.mark.parametrize("make", [calibration_windows, evaluation_windows])
def test_the_bos_token_stands_where_it_was_asked_for(alphabet, make):
    kind = Calibration if make is calibration_windows else Evaluation

    def read(bos):
        return make(kind(source=alphabet, length=30, windows=20, bos=bos), Letters(begins=True))

    none, every = read("none"), read("every-window")
    assert not (none.tokens == BOS).any()
    assert every.tokens.shape == (20, 30)
    assert (every.tokens == BOS).sum(0).tolist() == [20] + 29 * [0]
    assert every.description.endswith(", a BOS token first in each window")
    assert none.description.endswith(", no BOS token")
    if make is evaluation_windows:
        auto = read("auto")
        assert (auto.tokens == BOS).nonzero().tolist() == [[0, 0]], "once, before the text"
        plain = encode("".join(chr(33 + i % 90) for i in range(600)))
        assert auto.tokens.flatten().tolist() == [BOS, *plain[:599]]
        assert none.tokens.flatten().tolist() == plain
        assert every.tokens[:, 1:].flatten().tolist() == plain[: 20 * 29]


@pytest.mark.parametrize(("make", "kind", "word"), [
    (calibration_windows, Calibration, "bos"), (evaluation_windows, Evaluation, "evaluation_bos")])
def test_a_bos_token_that_cannot_be_had_is_refused(alphabet, tmp_path, make, kind, word):
    with pytest.raises(BadInput, match=f"{word}: 'every-window' .* has no BOS token"):
        make(kind(source=alphabet, length=30, windows=20, bos="every-window"), Letters(bos=None))
    np.save(tmp_path / "w.npy", np.zeros((2, 8), int))
    with pytest.raises(BadInput, match=f"{word}: 'none' .* taken as they are"):
        make(kind(source=f"windows:{tmp_path / 'w.npy'}", windows=2, bos="none"), LETTERS)


def test_the_default_leaves_no_trace_in_json():
    assert "bos" not in RunSpec().model_dump_json()
    asked = RunSpec(evaluation=Evaluation(bos="none"))
    assert asked.model_dump(mode="json")["evaluation"]["bos"] == "none"
    assert RunSpec.model_validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize(("reader", "bos", "between"), [
    (Letters(), "auto", [EOS]), (Letters(begins=True), "auto", [BOS]), (Letters(begins=True), "none", [EOS]),
    (Letters(separator=None), "auto", [])])
def test_documents_shorter_than_a_window_are_packed(tmp_path, reader, bos, between):
    documents = [letter * size for letter, size in (("a", 7), ("b", 11), ("c", 5), ("d", 9))]
    (tmp_path / "d.json").write_text(json.dumps(documents))
    spec = Calibration(source=f"text:{tmp_path / 'd.json'}", windows=2, length=15, bos=bos)
    windows = calibration_windows(spec, reader)
    assert "documents packed with the separator token between them" in windows.description
    tokens = windows.tokens.flatten().tolist()
    letters = [token for token in dict.fromkeys(tokens) if token > EOS]
    whole = [part for letter in letters for part in (*between, *encode(next(one for one in documents if ord(one[0]) == letter)))]
    whole = whole if bos == "auto" and reader.begins else whole[len(between):]  # what stands between does not begin, but BOS
    assert tokens == whole[:30]
    with pytest.raises(BadInput, match=r"windows: 9 .* 1 to 2"):
        calibration_windows(spec.model_copy(update={"windows": 9}), reader)


def test_of_a_long_text_no_more_is_read_than_its_windows_need(tmp_path):
    (tmp_path / "long.txt").write_text("".join(chr(97 + i % 26) for i in range(400_000)))
    spec, reader = Evaluation(source=f"text:{tmp_path / 'long.txt'}", windows=10, length=50), Letters()
    some = evaluation_windows(spec, reader).tokens
    assert sum(reader.read) < 40_000
    assert some.flatten().tolist() == encode("".join(chr(97 + i % 26) for i in range(500)))


def test_a_beginning_that_reads_otherwise_is_not_used(tmp_path):
    """A tokenizer whose tokens depend on what comes much later: all of the text is read."""
    @dataclass(frozen=True, kw_only=True)
    class Length(Letters):
        def encode(self, text, *, special=True):
            return [len(text) % 251 + 3] * len(text)

    (tmp_path / "long.txt").write_text("x" * 400_000)
    tokens = evaluation_windows(Evaluation(source=f"text:{tmp_path / 'long.txt'}", windows=2, length=50), Length()).tokens
    assert set(tokens.flatten().tolist()) == {400_000 % 251 + 3}


@pytest.fixture(scope="module")
def long_line():
    return "".join(chr(97 + i % 23) for i in range(1_000_003)) * 12


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "two.jsonl"])
def test_a_long_line_is_tokenized_where_windows_are_drawn(tmp_path, long_line, name):
    lines = [long_line] * (1 + name.startswith("two"))
    (tmp_path / name).write_text(long_line if name == "a.txt" else "".join(json.dumps({"text": line}) + "\n" for line in lines))
    reader, spec = Letters(), Calibration(source=f"text:{tmp_path / name}", windows=40, length=50)
    windows = calibration_windows(spec, reader)
    rows = ["".join(map(chr, row)) for row in windows.tokens.tolist()]
    assert sum(reader.read) <= 40 * 8 * (50 + 16)
    assert all(row in long_line[:2_000_010] for row in rows)
    assert len({row[0] for row in rows}) > 10  # places all over the line, whose letters have a period of 23
    assert "drawn by characters" in windows.description
    assert windows.sha256 == text_revision(spec.source, "calibration") != hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    other = calibration_windows(spec.model_copy(update={"seed": 1}), reader).tokens
    assert not torch.equal(other, windows.tokens)


def test_windows_of_files_with_short_documents_stay_as_they_were(tmp_path, long_line):
    """Their address too: a text below 8 MiB, and JSON of any size whose lines are short."""
    (tmp_path / "a.txt").write_text(long_line[: 5 << 20])
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": long_line[i : i + 99_000]}) + "\n" for i in range(0, 9_900_000, 99_000)))
    for name in ("a.txt", "a.jsonl"):
        source = f"text:{tmp_path / name}"
        assert text_revision(source, "calibration") == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        reader = Letters()
        calibration_windows(Calibration(source=source, windows=3, length=50), reader)
        assert sum(reader.read) == (5 << 20 if name == "a.txt" else 3 * 99_000)


@pytest.mark.parametrize("start", [0, 1, 500, 990, 999])
def test_a_window_at_a_place_reads_on_where_tokens_are_long(start):
    """One token for 40 letters: 8 letters a token are too few, and the end of the text must not be passed."""
    class Long(Letters):
        def encode(self, text, *, special=True):
            return [int(piece) for piece in text.split()]
    text = " ".join(f"{i:040d}" for i in range(1000))
    found = window_at(text, start * 41, 20, Long(), special=True)
    first = min(0 if start == 0 else start + 8, 980)
    assert found is not None
    assert found.tolist() == list(range(found[0], found[0] + 20))
    assert abs(int(found[0]) - first) <= 40
    assert window_at(text, 0, 1001, Long(), special=True) is None


def test_an_archive_named_npy_is_told_apart(tmp_path):
    np.savez(tmp_path / "w.npz", windows=np.zeros((2, 8), int))
    (tmp_path / "w.npz").rename(tmp_path / "w.npy")
    with pytest.raises(BadInput, match="it is a zip file: unpack it"):
        evaluation_windows(Evaluation(source=f"windows:{tmp_path / 'w.npy'}"), LETTERS)
