"""Names of a checkpoint's tensors beside those of the model: which of them hold nothing that a model needs, and hints on the others."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import Tensor

_MASK = re.compile(r"(^|\.)(attn|attention|self_attn|self_attention)\.(bias|causal_mask)$")
_FROM_CONFIGURATION = re.compile(
    r"(^|\.)(attn|attention|self_attn|self_attention)\.masked_bias$|(^|\.)position_ids$|(^|\.)(encoder|decoder)\.version$|"
    r"(^|\.)(rotary|rotary_emb|rotary_embs|rotary_pos_emb)\.(inv_freq|original_inv_freq|cos_cached|sin_cached|cos|sin|scale)$")
_HINTS = {
    "_orig_mod.": "The names begin with _orig_mod: a compiled model was saved. Save model._orig_mod.",
    "module.": "The names begin with module: a model inside DataParallel was saved. Save model.module.",
    "base_model.model.": "The names begin with base_model.model: a PEFT model was saved. Merge its adapter (merge_and_unload), save that.",
}


def matters(key: str, tensor: Tensor | None) -> bool:
    """False for a tensor that older versions saved and that newer ones compute from the configuration: causal masks, the value they
    mask with, rotary frequencies, position numbers, format versions. A bias called as a mask is called is told apart by its values.
    """
    if _FROM_CONFIGURATION.search(key):
        return False
    return not (_MASK.search(key) and tensor is not None and is_causal_mask(tensor))


def is_causal_mask(tensor: Tensor) -> bool:
    """True for [1, …, L, L] of zeros and ones with none above the diagonal and all on it; of local attention a band is left below."""
    if tensor.ndim < 2 or tensor.shape[-1] != tensor.shape[-2] or tensor.numel() != tensor.shape[-1] ** 2 or tensor.numel() < 2:
        return False
    mask = tensor.reshape(tensor.shape[-2:])
    return not bool(mask.triu(1).any()) and bool((mask.diagonal() == 1).all()) and bool(((mask == 0) | (mask == 1)).all())


def hint(keys: Iterable[str]) -> str:
    """Remedy for names with a known prefix; else empty."""
    return next((f" {words}" for key in keys for prefix, words in _HINTS.items() if key.startswith(prefix)), "")
