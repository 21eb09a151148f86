"""Names to models: what is refused and in which words, what the content address depends on, and that no torch is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from core.models import folders as checkpoint
from core.models import sources
from core.models.sources import ModelSource, list_models, resolve_model, unusable_models
from core.spec.errors import BadInput

CONFIG: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2,
                          "max_position_embeddings": 128}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache and a hub that refuses every connection at once."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return folder


@pytest.fixture
def models(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(folder))
    return folder


def make(folder: Path, config: dict[str, Any] | None = None, dtype: Any = np.float16, shards: int = 1) -> Path:
    """A folder with a configuration, a tokenizer and 8·8 + 8 weights in each shard."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    (folder / "tokenizer.json").write_text("{}")
    tensors = {"a": np.arange(64, dtype=dtype).reshape(8, 8), "b": np.ones(8, dtype=np.float32)}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = [f"model-{index:05d}-of-{shards:05d}.safetensors" for index in range(1, shards + 1)]
    for index, name in enumerate(names):
        save_file({f"{key}{index}": value for key, value in tensors.items()}, folder / name)
    index = {"weight_map": {f"{key}{index}": name for index, name in enumerate(names) for key in tensors}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def refusal(name: str, **options: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        resolve_model(name, **options)
    return caught.value


# --- what a folder says ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_described_from_its_configuration_and_headers(models: Path) -> None:
    folder = make(models / "mine")
    source = resolve_model("mine")
    assert source == ModelSource(
        name="mine", origin="folder", path=folder.resolve(), revision=source.revision, architecture="LlamaForCausalLM",
        family="llama", context=128, hidden=8, blocks=2, parameters=72, dtype="float16",
        bytes=(folder / "model.safetensors").stat().st_size)
    assert len(source.revision) == 64
    assert ModelSource.model_validate_json(source.model_dump_json()) == source


@pytest.mark.parametrize(("config", "shape"), [
    ({"model_type": "gpt2", "n_embd": 16, "n_layer": 3, "n_positions": 32}, (32, 16, 3)),
    ({"model_type": "mpt", "d_model": 16, "n_layers": 3, "max_seq_len": 32}, (32, 16, 3)),
    ({"model_type": "gemma3", "text_config": {"hidden_size": 16, "num_hidden_layers": 3}}, (2048, 16, 3)),
    ({**CONFIG, "text_config": {"hidden_size": 99}}, (128, 8, 2)),
    ({**CONFIG, "max_position_embeddings": None}, (2048, 8, 2)),
])
def test_sizes_go_by_several_names(models: Path, config: dict[str, Any], shape: tuple[int, int, int]) -> None:
    make(models / "mine", config)
    source = resolve_model("mine")
    assert (source.context, source.hidden, source.blocks) == shape


def test_shards_are_counted_together_and_strays_not_at_all(models: Path) -> None:
    folder = make(models / "mine", shards=3)
    save_file({"more": np.ones(1000, dtype=np.float32)}, folder / "consolidated.safetensors")
    assert resolve_model("mine").parameters == 3 * 72


@pytest.mark.parametrize("name", ["a", "a/b", "a/b/c", "with space", "üñí"])
def test_folders_may_be_nested_and_win_over_hub_ids(models: Path, name: str) -> None:
    make(models / name)
    assert resolve_model(name).path == models / name


def test_the_environment_is_read_at_each_call(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    make(tmp_path / "other" / "yours")
    resolve_model("mine")
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "other"))
    resolve_model("yours")
    assert "At hand" in refusal("mine").remedy


def test_the_demo_is_found_or_its_making_is_named(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MODEL", tmp_path / "demo")
    assert "make demo-model" in refusal("demo").remedy
    assert "make demo-model" in next(model.reason for model in unusable_models() if model.name == "demo")
    make(tmp_path / "demo")
    make(models / "demo", {**CONFIG, "hidden_size": 16})
    assert resolve_model("demo").hidden == 8
    assert [model.origin for model in list_models()] == ["demo"]


# --- bad names -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "", "/", "..", "../models/mine", "mine/..", "mine/../mine", "./mine", "mine/", "/etc", "~", "~root/x", "mine\\x", "mine\0",
    "mi\nne", "mine\u202e", "\udc80", "C:\\models",
])
def test_names_that_could_leave_the_folder_are_refused(models: Path, name: str) -> None:
    make(models / "mine")
    error = refusal(name)
    assert error.field == "model"
    assert "control characters are refused" in error.remedy


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "x" * 300, "owner/" + "n" * 300, "-o/name", "owner/na me", "owner/é"])
def test_names_of_nothing_say_what_is_at_hand(models: Path, name: str) -> None:
    make(models / "mine")
    error = refusal(name)
    assert "no such folder" in error.remedy
    assert "mine" in error.remedy.partition("At hand:")[2]
    assert str(models) in error.remedy


@pytest.mark.parametrize("revision", ["", "../../x", "v1/../x", "a b", "-x", "x" * 65, "a\n"])
def test_bad_revisions_are_refused(models: Path, revision: str) -> None:
    assert refusal("owner/name", revision=revision).field == "revision"


def test_a_folder_has_the_revision_of_its_content_only(models: Path) -> None:
    make(models / "mine")
    address = resolve_model("mine").revision
    assert resolve_model("mine", address[:12]).revision == address
    error = refusal("mine", revision="main")
    assert error.field == "revision"
    assert address[:12] in str(error)


def test_links_out_of_the_folder_are_refused(models: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside")
    (models / "link").symlink_to(outside)
    (models / "up").symlink_to(tmp_path)
    assert "link out of PRUNESCOPE_MODELS" in refusal("link").remedy
    assert "link out of PRUNESCOPE_MODELS" in refusal("up/outside").remedy
    folder = make(models / "weights")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(outside / "model.safetensors")
    assert "link out of PRUNESCOPE_MODELS" in refusal("weights").remedy
    assert {model.name for model in unusable_models()} >= {"link", "weights"}


@pytest.mark.parametrize("place", ["tokenizer.json", "config.json", "chat_template.jinja", "sub/deep/x.json", "sub"])
def test_no_file_of_a_model_may_be_a_link_out(models: Path, tmp_path: Path, place: str) -> None:
    outside = make(tmp_path / "outside")
    (outside / "config.json").with_name("x.json").write_text("secret")
    link = make(models / "mine") / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / place if place in ("tokenizer.json", "config.json") else outside)
    assert "link out of PRUNESCOPE_MODELS" in refusal("mine").remedy
    assert "mine" in {model.name for model in unusable_models()}


def test_a_linked_folder_inside_is_looked_through(models: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (models / "other").mkdir()
    (models / "other" / "file").symlink_to(tmp_path / "secret")
    (make(models / "mine") / "sub").symlink_to(models / "other")
    assert "Its file is a link out" in refusal("mine").remedy


def test_a_snapshot_of_the_hub_links_into_its_own_cache_only(cache: Path, tmp_path: Path) -> None:
    repository = cache / "models--owner--name"
    snapshot, blobs = repository / "snapshots" / COMMIT, repository / "blobs"
    made = make(tmp_path / "made")
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in made.iterdir():
        shutil.copy(file, blobs / file.name)
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert resolve_model("owner/name").revision == COMMIT
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").symlink_to(made / "tokenizer.json")
    assert "link out of the hub's cache" in refusal("owner/name").remedy


def test_links_inside_and_a_linked_root_are_fine(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    (models / "same").symlink_to(models / "mine")
    (models / "loop").symlink_to(models / "loop")
    assert resolve_model("same").revision == resolve_model("mine").revision
    refusal("loop")
    (tmp_path / "root").symlink_to(models)
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "root"))
    assert resolve_model("mine").path == models / "mine"


# --- bad folders -----------------------------------------------------------------------------------------------------------------


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))  # type: ignore[func-returns-value]


def written(file: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes(content)  # type: ignore[func-returns-value]


def only_bin(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def header(content: object) -> Callable[[Path], None]:
    text = json.dumps(content).encode()
    return written("model.safetensors", len(text).to_bytes(8, "little") + text)


def index(weight_map: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


CODE = {"model_type": "homemade", "auto_map": {"AutoModelForCausalLM": "modeling.Homemade"}}
BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (no_config, "no config.json"),
    "configuration is no JSON": (written("config.json", b"{"), "config.json holds no JSON object"),
    "configuration is no text": (written("config.json", b"\xff\xfe\0"), "config.json holds no JSON object"),
    "configuration is a list": (written("config.json", b"[1]"), "config.json holds no JSON object"),
    "configuration is very deep": (written("config.json", b"[" * 100_000), "config.json holds no JSON object"),
    "no family": (configured(model_type=None), "model_type None"),
    "unknown family": (configured(model_type="homemade"), "'homemade' is no causal language model"),
    "an encoder": (configured(model_type="vit"), "'vit' is no causal language model"),
    "own code": (configured(**CODE), "code from model folders never runs"),
    "quantised": (configured(quantization_config={"bits": 4}), "quantised"),
    "no width": (configured(hidden_size=None), "how wide"),
    "no blocks": (configured(num_hidden_layers=0), "how many blocks"),
    "width is no number": (configured(hidden_size="8"), "how wide"),
    "only .bin": (only_bin, r"Only safetensors are read; it has pytorch_model.bin. To convert.*save_pretrained"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "it has no weights"),
    "truncated": (truncated, "no whole safetensors file"),
    "longer": (lambda folder: (folder / "model.safetensors").open("ab").write(b"x"), "no whole safetensors file"),  # type: ignore
    "empty": (written("model.safetensors", b""), "no whole safetensors file"),
    "header too long": (written("model.safetensors", b"\xff" * 64), "header does not fit"),
    "Git LFS": (written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "Git LFS pointer"),
    "header is no JSON": (written("model.safetensors", (4).to_bytes(8, "little") + b"nope"), "no whole safetensors file"),
    "header is a list": (header([1]), "no whole safetensors file"),
    "header without tensors": (header({}), "no whole safetensors file"),
    "tensor without shape": (header({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "no whole safetensors file"),
    "index of nothing": (index({}), "does not name plain safetensors files"),
    "index is odd": (index([1]), "does not name plain safetensors files"),
    "index leads out": (index({"a": "../other/model.safetensors"}), "does not name plain safetensors files"),
    "index names pickles": (index({"a": "model.bin"}), "does not name plain safetensors files"),
    "shards missing": (index({"a": "1.safetensors", "b": "2.safetensors"}), "2 of its 2 weight files are missing"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_bad_folders_are_refused_in_words_and_listed_as_unusable(models: Path, kind: str) -> None:
    change, words = BAD_FOLDERS[kind]
    change(make(models / "bad"))
    make(models / "good")
    with pytest.raises(BadInput, match=words) as caught:
        resolve_model("bad")
    assert caught.value.field == "model"
    assert [model.name for model in list_models() if model.origin == "folder"] == ["good"]
    assert {model.name: model.reason for model in unusable_models()}["bad"] == str(caught.value)


def test_code_of_its_own_does_no_harm_where_the_family_is_known(models: Path) -> None:
    make(models / "mine", {**CONFIG, "auto_map": CODE["auto_map"]})
    assert resolve_model("mine").family == "llama"


def test_the_families_are_known() -> None:
    families = {"llama", "opt", "qwen3", "mistral", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt_neox", "phi", "gpt2"}
    assert families <= checkpoint.known_families()


# --- the content address ---------------------------------------------------------------------------------------------------------


def test_the_address_is_of_the_content(models: Path) -> None:
    folder = make(models / "mine")
    address = resolve_model("mine").revision
    shutil.copytree(folder, models / "copy")
    assert resolve_model("copy").revision == address
    for file in folder.iterdir():
        os.utime(file, ns=(1, 1))
    (folder / "README.md").write_text("read me")
    assert resolve_model("mine").revision == address


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_byte_changes_the_address(models: Path, file: str) -> None:
    folder = make(models / "mine")
    before = resolve_model("mine").revision
    stat = (folder / file).stat()
    content = bytearray((folder / file).read_bytes())
    if file == "model.safetensors":
        content[-1] ^= 1
    else:
        content += b" "
    (folder / file).write_bytes(content)
    os.utime(folder / file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # even where the times do not show it
    assert resolve_model("mine").revision != before


def test_names_and_contents_are_not_confused(models: Path) -> None:
    folder = make(models / "mine")
    before = resolve_model("mine").revision
    (folder / "tokenizer.json").rename(folder / "vocab.json")
    assert resolve_model("mine").revision != before


def test_large_files_are_sampled_from_the_header_to_the_last_byte(models: Path) -> None:
    folder = make(models / "mine")
    count = 16 * (1 << 20) + (1 << 18)  # 65 MiB of float32, written as a hole
    text = json.dumps({"a": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    file = folder / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    with file.open("r+b") as stream:
        stream.truncate(8 + len(text) + 4 * count)
    addresses = [resolve_model("mine").revision]
    assert resolve_model("mine").parameters == count
    for place in (8 + len(text), 8 + len(text) + (21 << 19), 8 + len(text) + 4 * count - 1):
        with file.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"x")
        addresses.append(resolve_model("mine").revision)
    assert len(set(addresses)) == 4


def test_unchanged_files_are_read_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(models / "mine")
    source = resolve_model("mine")
    monkeypatch.setattr(checkpoint, "open", lambda *_: pytest.fail("read again"), raising=False)
    assert resolve_model("mine") == source


# --- lists -----------------------------------------------------------------------------------------------------------------------


def test_lists_hold_folders_three_deep_and_no_deeper(models: Path) -> None:
    for name in ("one", "one/inside", "a/two", "a/b/three", "a/b/c/four", ".hidden/five"):
        make(models / name)
    assert [model.name for model in list_models() if model.origin == "folder"] == ["a/b/three", "a/two", "one"]
    for model in list_models():
        assert resolve_model(model.name) == model


def test_a_missing_root_is_reported(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path / "nowhere"))
    assert "PRUNESCOPE_MODELS" in {model.name for model in unusable_models()}
    monkeypatch.delenv("PRUNESCOPE_MODELS")
    assert "PRUNESCOPE_MODELS" not in {model.name for model in unusable_models()}
    assert "PRUNESCOPE_MODELS is not set" in refusal("mine").remedy


def test_names_that_cannot_be_asked_for_are_reported(models: Path) -> None:
    make(models / "line\nbreak")
    assert [model.name for model in list_models() if model.origin == "folder"] == []
    assert "line\nbreak" in {model.name for model in unusable_models()}


# --- the hub ---------------------------------------------------------------------------------------------------------------------


def cached(cache: Path, name: str, commit: str = COMMIT, ref: str = "main", config: dict[str, Any] | None = None) -> Path:
    """A model as huggingface_hub keeps it: blobs, links to them in a snapshot, a ref."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    made = make(repository / "made", config)
    blobs, snapshot = repository / "blobs", repository / "snapshots" / commit
    blobs.mkdir(exist_ok=True)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(made.iterdir()):
        file.rename(blobs / f"{commit[:4]}{number}")
        (snapshot / file.name).symlink_to(blobs / f"{commit[:4]}{number}")
    made.rmdir()
    return snapshot


def test_a_cached_snapshot_needs_no_network(models: Path, cache: Path) -> None:
    snapshot = cached(cache, "owner/name")
    cached(cache, "owner/name", "f" * 40, "v2")
    source = resolve_model("owner/name")
    assert (source.origin, source.path, source.revision) == ("hub", snapshot, COMMIT)
    assert resolve_model("owner/name", download=True) == source
    assert resolve_model("owner/name", "v2").revision == "f" * 40
    assert resolve_model("owner/name", COMMIT) == source
    assert [model for model in list_models() if model.origin == "hub"] == [source]
    make(models / "owner" / "name")
    assert resolve_model("owner/name").origin == "folder"


@pytest.mark.parametrize("download", [False, True])
def test_a_model_out_of_reach_is_an_error_at_once(models: Path, download: bool) -> None:
    make(models / "mine")
    error = refusal("owner/name", revision="v2", download=download)
    assert "hf download owner/name --revision v2" in error.remedy
    assert "mine" in error.remedy.partition("At hand:")[2]
    assert ("The hub did not give it" in error.remedy) == download


def test_offline_mode_is_respected(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "The hub did not give it" in refusal("owner/name", download=True).remedy


def test_a_snapshot_without_weights_says_so_and_is_fetched_where_allowed(models: Path, cache: Path) -> None:
    (cached(cache, "owner/name") / "model.safetensors").unlink()
    assert "it has no weights" in refusal("owner/name").remedy
    assert "no weights" in refusal("owner/name", download=True).remedy  # out of reach: the cache's own trouble is what helps
    assert "owner/name" in {model.name for model in unusable_models()}


def test_a_broken_snapshot_is_fetched_again(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = make(tmp_path / "broken"), make(tmp_path / "snapshots" / COMMIT)
    (broken / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda _, **options: broken if options["local_files_only"] else whole)
    assert resolve_model("owner/name", download=True).path == whole


def test_a_cached_model_with_code_of_its_own_is_refused(models: Path, cache: Path) -> None:
    cached(cache, "owner/name", config={**CONFIG, **CODE})
    assert "never runs" in refusal("owner/name").remedy


def test_what_is_fetched_is_safetensors_and_their_company(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    folder = make(tmp_path / "snapshots" / COMMIT)

    def download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if options["local_files_only"]:
            raise FileNotFoundError("not here")
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert resolve_model("owner/name", "main", download=True).revision == COMMIT
    assert [call["local_files_only"] for call in asked] == [True, False]
    assert asked[1]["revision"] == "main"
    assert not any(pattern.endswith((".bin", ".py", ".pt")) or pattern == "*" for pattern in asked[1]["allow_patterns"])
    asked.clear()
    refusal("owner/name")
    assert [call["local_files_only"] for call in asked] == [True]


# --- speed and imports -----------------------------------------------------------------------------------------------------------


def test_no_torch_and_no_transformers_are_imported(models: Path, root: Path) -> None:
    make(models / "mine")
    code = ("import sys, core.models.sources as s\n"
            "assert 'huggingface_hub' not in sys.modules\n"
            "s.resolve_model('mine'); s.list_models(); s.unusable_models()\n"
            "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_real_checkpoint(stories260k: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    source = resolve_model("stories260K")
    assert (source.parameters, source.context, source.hidden, source.blocks, source.dtype) == (260_032, 512, 64, 5, "float16")
