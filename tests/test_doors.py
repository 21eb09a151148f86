"""Hostile input through every door: links, specs, texts, token windows, models' folders. Refused in bounded words, or read; no traceback.

About a thousand examples in all, random ones and mutations of real ones.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.curves import query as curves
from app.learn import query as learn
from app.masks import query as masks
from app.shared import link
from core.data.texts import read_text, text_revision
from core.data.windows import calibration_windows, evaluation_windows
from core.models.sources import describe_model, list_models, model_revision, resolve_model, unusable_models
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import BadInput, input_errors
from core.spec.flags import command_line, method_words, run_words
from tests.core.models.test_sources import CONFIG, make

pytestmark = pytest.mark.faults
LONGEST = 2_000  # letters of anything that is told about one thing
VALUES = st.one_of(
    st.text(max_size=80), st.sampled_from(["", "0", "-1", "nan", "inf", "1e999", "9" * 5000, "x" * 100_000, "2:4", "columns:0.3", "../..",
                                           "~",
                                           "text:/etc/passwd",
                                           "windows:/etc/passwd.npy", "hub:/etc", "text:../x", "text:" + "x/" * 3000,
                                           "[" * 5000, "\x00", "\u202e", "<script>", "![x](http://x.example)", "true", "²", "１"]),
    st.integers().map(str), st.floats().map(str))
LINKS = st.dictionaries(st.one_of(st.sampled_from([*run_words(), "run", "layer", "stop", "tab", "patterns", "methods", "seeds", "alphas"]),
                                  st.text(max_size=30), st.just("k" * 100_000)), VALUES, max_size=12)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**9),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4), max_leaves=12)
FAST = settings(deadline=None, suppress_health_check=[
    HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
NO_READER = SimpleNamespace(context=32, vocabulary=64, bos=None, separator=None, encode=lambda _, special=True: [])


def told(sentences: tuple[str, ...]) -> None:
    assert all(len(sentence) <= LONGEST for sentence in sentences), max(sentences, key=len)[:3000]


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """Real content with a piece exchanged, cut or doubled."""
    @st.composite
    def mutate(draw: st.DrawFn) -> bytes:
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 64)))
        return content[:start] + draw(st.binary(max_size=32) | st.just(content[:200])) + content[end:]

    return mutate()


@given(LINKS)
@settings(FAST, max_examples=300)
def test_links(words: Mapping[str, str]) -> None:
    spec, notes = link.from_words(words)
    told(notes)
    assert len(notes) <= link.MOST_WORDS + 1
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert len(command_line(spec)) < 20 * LONGEST
    told(curves.read(words)[1])
    told(learn.parse(words)[1])
    told(masks.other_spec(spec, {f"b_{word}": text for word, text in link.bounded(words)[0].items() if word in method_words()})[1])
    for word, text in words.items():
        try:
            masks.read_place(word, text, 10)
        except BadInput as error:
            told((str(error),))


@given(st.data())
@settings(FAST, max_examples=150)
def test_specs(data: st.DataObject) -> None:
    """Specs as a stored record or a file holds them: mutated JSON, and JSON of the right form with anything in its fields."""
    known = RunSpec().model_dump(mode="json")
    text: Any = data.draw(mutated(json.dumps(known).encode()) | st.just(b"[" * 100_000) | st.dictionaries(
        st.sampled_from(sorted(known)), JSON, max_size=6).map(lambda found: json.dumps({**known, **found}).encode()))
    try:
        RunSpec.model_validate_json(text)
    except ValidationError as error:
        told(tuple(str(item) for item in input_errors(error)))


@pytest.fixture
def places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A confined process with folders of its own, and no hub."""
    folder = tmp_path_factory.mktemp("doors")
    monkeypatch.setenv("PRUNESCOPE_CONFINED", "1")
    for variable, name in (("PRUNESCOPE_TEXTS", "texts"), ("PRUNESCOPE_MODELS", "models")):
        (folder / name).mkdir()
        monkeypatch.setenv(variable, str(folder / name))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    return folder


@given(name=st.one_of(VALUES, st.text(max_size=300)))
@settings(FAST, max_examples=150)
def test_names(places: Path, name: str) -> None:
    for kind in ("text:", "windows:", "hub:", ""):
        for split in ("calibration", "evaluation"):
            try:
                text_revision(Calibration(source=f"{kind}{name}{'.npy' if kind == 'windows:' else ''}").source, split)
            except (BadInput, ValidationError) as error:
                told((str(error),) if isinstance(error, BadInput) else tuple(str(item) for item in input_errors(error)))
    for ask in (resolve_model, model_revision, describe_model):
        try:
            ask(name)
        except BadInput as error:
            told((str(error),))


DOCUMENTS = json.dumps(["one document", {"text": "two"}]).encode()
LINES = b'{"text": "one document"}\n{"text": "two"}\n'


@given(data=st.data(), suffix=st.sampled_from([".txt", ".json", ".jsonl"]))
@settings(FAST, max_examples=150)
def test_texts(places: Path, data: st.DataObject, suffix: str) -> None:
    content = data.draw(st.binary(max_size=200) | mutated(DOCUMENTS) | mutated(LINES) | st.sampled_from(
        [b"[" * 100_000, b'{"text": ' * 50_000, b"\xff\xfe", b"", b" \n", b"null", b"[null]", b"[1]", b'{"text": null}']))
    (places / "texts" / f"a{suffix}").write_bytes(content)
    try:
        assert read_text(f"text:a{suffix}", "calibration").documents
    except BadInput as error:
        told((str(error),))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones((4, 8), dtype=np.int64))
    return stream.getvalue()


WINDOWS = npy(np.arange(64, dtype=np.int32).reshape(4, 16))
HUGE = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000, 8), }".ljust(117) + b"\n"


@given(data=st.data())
@settings(FAST, max_examples=150)
def test_token_windows(places: Path, data: st.DataObject) -> None:
    content = data.draw(mutated(WINDOWS) | mutated(WINDOWS[:128]) | st.sampled_from([
        archive(), HUGE, b"PK\x03\x04", b"", npy(np.ones((2, 8))), npy(np.zeros((0, 8), dtype=int)), npy(np.full((2, 8), -1)),
        npy(np.full((2, 8), 2**62)), npy(np.ones(4, dtype=int)), npy(np.array([[1, 2]], dtype=np.uint8)),
        npy(np.ones((2, 99), dtype=int))]))
    (places / "texts" / "a.npy").write_bytes(content)
    for make_windows, spec in ((calibration_windows, Calibration(source="windows:a.npy", windows=2)),
                               (evaluation_windows, Evaluation(source="windows:a.npy"))):
        try:
            tokens = make_windows(spec, NO_READER).tokens  # type: ignore[operator]
            assert 0 <= int(tokens.min()) <= int(tokens.max()) < 64
        except BadInput as error:
            told((str(error),))


def test_an_archive_in_place_of_an_array_is_told_as_that(places: Path) -> None:
    (places / "texts" / "a.npy").write_bytes(archive())
    with pytest.raises(BadInput, match=r"integers \[n, length\]"):
        calibration_windows(Calibration(source="windows:a.npy", windows=2), NO_READER)


KEYS = ["model_type", "hidden_size", "num_hidden_layers", "n_layer", "num_experts", "text_config", "max_position_embeddings", "auto_map",
        "quantization_config", "dtype", "torch_dtype", "architectures", "vocab_size", "intermediate_size", "num_attention_heads"]


@given(data=st.data())
@settings(FAST, max_examples=150)
def test_models(places: Path, data: st.DataObject) -> None:
    """Folders with mutated configurations, indices and headers. Only their description is asked for, which is the server's part."""
    with tempfile.TemporaryDirectory(dir=places / "models") as name:
        folder = make(Path(name), shards=data.draw(st.sampled_from([1, 2])))
        file = data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
        content = (folder / file).read_bytes()
        changed = data.draw(st.one_of(mutated(content), mutated(content[:100]), st.just(b"[" * 100_000), st.just(b'{"a":' * 20_000),
                                      JSON.map(lambda found: json.dumps(found).encode()),
                                      st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4).map(
                                          lambda found: json.dumps({**CONFIG, **found}).encode())))
        (folder / file).write_bytes(changed)
        try:
            resolve_model(folder.name)
        except BadInput as error:
            told((str(error),))
        list_models()
        told(tuple(model.reason for model in unusable_models()))


@pytest.mark.parametrize(("claims", "words"), [
    ({"num_hidden_layers": 10**9}, "1,000,000,000 blocks"), ({"n_layers": 10**9, "num_hidden_layers": None}, "cannot be used"),
    ({"num_experts": 10**9}, "experts"), ({"vocab_size": 10**15}, "vocab_size"), ({"intermediate_size": 10**12}, "intermediate_size"),
    ({"text_config": {"num_local_experts": 10**9}}, "experts"), ({"num_hidden_layers": 2_000, "n_routed_experts": 5_000}, "experts"),
])
def test_a_configuration_that_claims_what_no_model_has_is_refused_before_anything_is_laid_out(
        places: Path, claims: dict[str, object], words: str) -> None:
    make(places / "models" / "mine", {**CONFIG, **claims})
    for ask in (resolve_model, describe_model):
        with pytest.raises(BadInput, match=words):
            ask("mine")


def test_a_large_text_is_only_hashed_where_it_is_asked_for(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The web server asks for the revision alone; a run reads the text, and the address is the same."""
    monkeypatch.setattr("core.data.texts.SEEN_WHOLE", 10)
    (places / "texts" / "a.txt").write_text("a text of more than ten bytes")
    with monkeypatch.context() as patch:
        patch.setattr("core.data.texts.read_documents", lambda *_: pytest.fail("read"))
        address = text_revision("text:a.txt", "calibration")
    assert read_text("text:a.txt", "calibration").sha256 == address
