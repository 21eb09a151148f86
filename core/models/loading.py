"""Loading of a causal language model from safetensors, or of its structure alone."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, GenerationConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging as transformers_logging

from core.linalg.finite import count_not_finite, finite
from core.models.checkpoint_keys import hint, matters
from core.models.folders import source_weights
from core.models.memory_room import require_room
from core.models.sources import ModelSource
from core.spec.errors import BadInput, is_out_of_memory, memory_told


def load_model(source: ModelSource, *, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model on the CPU, in eval mode, frozen. Never runs code from the model's folder; opens its configuration and the safetensors
    files that were inspected, nothing else.

    `dtype` None means float32 whatever the checkpoint holds, so that half-precision weights are widened before pruning.
    Attention is transformers' choice for the family: sdpa, or eager where scores are soft-capped (Gemma 2), which sdpa cannot do.
    Raises BadInput when transformers cannot build the model, or when weights are missing, left over, of another shape or no
    numbers; OutOfMemory where they do not fit into it.
    """
    width = dtype or torch.float32
    stage, remedy = f"loading {source.name}", smaller(source, width)
    require_room(source.parameters * width.itemsize, stage, remedy)
    with memory_told(stage, remedy):
        return _loaded(source, width)


def _loaded(source: ModelSource, dtype: torch.dtype) -> PreTrainedModel:
    skeleton = load_skeleton(source)
    stored: dict[str, Tensor] = {}
    with explained(source):
        for file in source_weights(source):
            with safe_open(file, framework="pt") as tensors:
                stored.update({key: tensors.get_tensor(key) for key in tensors.keys()})  # noqa: SIM118
    return fill(source, skeleton, stored, dtype)


def fill(source: ModelSource, skeleton: PreTrainedModel, stored: dict[str, Any], dtype: torch.dtype) -> PreTrainedModel:
    """The model with the tensors of `stored`, which is emptied, by transformers' own loading and conversions; eval mode, frozen.

    A value may stand for a tensor that is read later (core/models/block_files.py): its parameter stays on the meta device.
    Raises BadInput as `load_model` does.
    """
    with silent(), explained(source):
        loaded: Any = type(skeleton).from_pretrained(  # no folder: it would open adapters and other formats of its own accord
            None, config=skeleton.config, state_dict=stored, dtype=dtype, local_files_only=True, trust_remote_code=False,
            output_loading_info=True, ignore_mismatched_sizes=True)  # to name them below
        model, loading = loaded
        model.config.name_or_path = str(source.path)
        if (source.path / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(source.path, local_files_only=True)
    _refuse_other_keys(source, loading, stored)
    stored.clear()
    refuse_not_finite(source, model)
    return _off_the_disk(model).eval().requires_grad_(False)


def _refuse_other_keys(source: ModelSource, loading: dict[str, Any], stored: dict[str, Tensor]) -> None:
    """Raise BadInput naming the keys that are missing, left over or of another shape. Transformers has taken out those it ignores by
    design; buffers that it computes from the configuration are no loss either."""
    left_over = [key for key in loading["unexpected_keys"] if matters(key, stored.get(key))]
    for keys, words in ((loading["missing_keys"], "has no weights for"), (left_over, "has weights the model lacks:"),
                        (loading["mismatched_keys"], "has other shapes for"), (loading["error_msgs"], "does not load:")):
        if keys:
            names = sorted(str(key) for key in keys)
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise _unloadable(source, f"The checkpoint {words} {', '.join(names[:5])}{more}.{hint(left_over)}")


@contextmanager
def silent() -> Generator[None]:
    """Transformers' progress bar and report switched off: what the report would warn of is an error here."""
    bar = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


@contextmanager
def explained(source: ModelSource) -> Generator[None]:
    """Errors as BadInput: configurations and checkpoints fail in as many ways as there are families."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _unloadable(source, f"transformers says: {str(error).strip()[:600]}") from error


def _off_the_disk(model: PreTrainedModel) -> PreTrainedModel:
    """Weights that transformers left as views of the mapped file, copied: the file may be written while a run goes on, which would
    change them, or cut off, which would end the process. The storage of a mapped file cannot be resized."""
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and not parameter.untyped_storage().resizable():
            parameter.data = parameter.data.clone()
    return model


def refuse_not_finite(source: ModelSource, module: nn.Module, path: str = "") -> None:
    """Raises BadInput naming the first tensor that holds a NaN or an infinity, before it spreads to where nobody looks for it. `path`:
    the module's name in its model. Parameters on the meta device are not there yet and are left out."""
    bad = [(name, parameter) for name, parameter in module.named_parameters(prefix=path)
           if parameter.numel() and not parameter.is_meta and not finite(parameter)]
    if not bad:
        return
    name, parameter = bad[0]
    more = f" (and {len(bad) - 1} more tensors)" if len(bad) > 1 else ""
    narrow = parameter.dtype == torch.float16 and not any(bool(other.isnan().any()) for _, other in bad)
    raise BadInput("model", source.name, "a checkpoint whose weights are all finite", f"{count_not_finite(parameter, name)}{more}. " + (
        "float16 holds numbers to 65504 only: choose bfloat16 or float32." if narrow else
        f"The files are damaged or were saved from a training that diverged: get {source.path} again."))


def load_skeleton(source: ModelSource) -> PreTrainedModel:
    """The model's structure on the meta device: shapes and names without memory. Raises BadInput as `load_model` does."""
    with explained(source):
        config = AutoConfig.from_pretrained(source.path, local_files_only=True, trust_remote_code=False)
        return build(config)


def build(config: Any) -> PreTrainedModel:
    """A configuration's model on the meta device, in eval mode, frozen."""
    with torch.device("meta"):
        model = _auto_class(config).from_config(config, dtype=torch.float32, trust_remote_code=False)
    return model.eval().requires_grad_(False)


def _auto_class(config: Any) -> Any:
    """The language model with what stands beside it, such as a vision tower, where the checkpoint was saved so: nothing of it is lost."""
    whole = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(config), None)
    alone = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    names: list[str] = list(getattr(config, "architectures", None) or [])
    beside = whole is not None and (alone is None or getattr(whole, "__name__", "") in names)
    return AutoModelForImageTextToText if beside else AutoModelForCausalLM


def smaller(source: ModelSource, dtype: torch.dtype) -> str:
    """Remedy for a model whose weights do not fit into memory."""
    weights = source.parameters * dtype.itemsize / 1e9
    half = ", or bfloat16, which takes half" if dtype.itemsize > 2 else ""
    return (f"Its {source.parameters:,} weights alone take {weights:.2g} GB in {str(dtype).removeprefix('torch.')}. Choose a smaller "
            f"model{half}, or a machine with more memory.")


def _unloadable(source: ModelSource, why: str) -> BadInput:
    return BadInput("model", source.name, "a checkpoint whose safetensors hold exactly the weights that config.json describes",
                    f"{why} Look at {source.path}, or save the model again with transformers' save_pretrained.")
