"""Loading of a causal language model from safetensors, or of its structure alone."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from core.linalg.finite import count_not_finite, finite
from core.models.sources import ModelSource
from core.spec.errors import BadInput


def load_model(source: ModelSource, *, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model on the CPU, in eval mode, frozen. Never runs code from the model's folder, reads safetensors only.

    `dtype` None means float32 whatever the checkpoint holds, so that half-precision weights are widened before pruning.
    Attention is transformers' choice for the family: sdpa, or eager where scores are soft-capped (Gemma 2), which sdpa cannot do.
    Raises BadInput when transformers cannot build the model, or when weights are missing, left over, of another shape or no
    numbers.
    """
    bar = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # what its report would warn of is an error below
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source.path, dtype=dtype or torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, ignore_mismatched_sizes=True)  # to name them below
    except MemoryError:
        raise
    except Exception as error:  # configurations and checkpoints fail in as many ways as there are families
        raise _unloadable(source, f"transformers says: {str(error).strip()[:600]}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
    model, loading = loaded
    for kind, words in (("missing_keys", "has no weights for"), ("unexpected_keys", "has weights the model lacks:"),
                        ("mismatched_keys", "has other shapes for"), ("error_msgs", "does not load:")):
        if loading[kind]:
            names = sorted(str(key) for key in loading[kind])
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise _unloadable(source, f"The checkpoint {words} {', '.join(names[:5])}{more}.")
    _refuse_not_finite(source, model)
    return _off_the_disk(model).eval().requires_grad_(False)


def _off_the_disk(model: PreTrainedModel) -> PreTrainedModel:
    """Weights that transformers left as views of the mapped file, copied: the file may be written while a run goes on, which would
    change them, or cut off, which would end the process. The storage of a mapped file cannot be resized."""
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and not parameter.untyped_storage().resizable():
            parameter.data = parameter.data.clone()
    return model


def _refuse_not_finite(source: ModelSource, model: nn.Module) -> None:
    """Raises BadInput naming the first tensor that holds a NaN or an infinity, before it spreads to where nobody looks for it."""
    bad = [(name, parameter) for name, parameter in model.named_parameters() if parameter.numel() and not finite(parameter)]
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
    try:
        config = AutoConfig.from_pretrained(source.path, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except MemoryError:
        raise
    except Exception as error:  # configurations and checkpoints fail in as many ways as there are families
        raise _unloadable(source, f"transformers says: {str(error).strip()[:600]}") from error
    return model.eval().requires_grad_(False)


def _unloadable(source: ModelSource, why: str) -> BadInput:
    return BadInput("model", source.name, "a checkpoint whose safetensors hold exactly the weights that config.json describes",
                    f"{why} Look at {source.path}, or save the model again with transformers' save_pretrained.")
