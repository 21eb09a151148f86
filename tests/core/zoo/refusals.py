"""Families that are refused, by words of the reason, and those of which the table of small sizes builds no model. docs/models.md tells the
same; a test holds the two together."""

from __future__ import annotations

FUTURE = r"This model sees the future"
PAIR = r"It is an encoder-decoder model"
STATE_SPACE = r"as Mamba's state-space layers use theirs"
ON_TEXT = r"that depends on the text|that differs from call to call"
SHARED = r"is run 2 times for one window"
CROSS = r"waits for another input"
STACKED = r"in a stack of matrices"
BETWEEN = r"something that cannot be replayed happens to the hidden states"
NOT_THE_DECODER = r"is not run when it reads text"
KINDS = r"its blocks are of different kinds"
OWN_CODE = r"its own code ends with an error when it reads text alone"
IN_PARTS = r"Its config.json does not say how wide it is"
UNKNOWN = r"is no causal language model that the installed transformers knows"
NO_WEIGHTS = r"The checkpoint has no weights for"

REFUSED: dict[str, str] = {
    **dict.fromkeys((
        "cpmant", "diffusion_gemma", "paligemma", "prophetnet"), FUTURE),
    **dict.fromkeys((
        "pix2struct", "t5gemma2", "udop", "vision-encoder-decoder"), PAIR),
    **dict.fromkeys((
        "falcon_mamba", "jamba", "mamba"), STATE_SPACE),
    **dict.fromkeys((
        "deepseek_v4", "gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text", "glm_moe_dsa", "hy_v4", "inkling2_text"), ON_TEXT),
    **dict.fromkeys((
        "gemma3n_text", "zaya"), SHARED),
    **dict.fromkeys((
        "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart", "mvp", "pegasus", "plbart", "trocr",
        "whisper"), CROSS),
    **dict.fromkeys((
        "longcat_flash", "recurrent_gemma", "xlnet"), STACKED),
    **dict.fromkeys((
        "hrm_text", "xlm"), BETWEEN),
    **dict.fromkeys((
        "git", "phi4_multimodal"), NOT_THE_DECODER),
    **dict.fromkeys((
        "olmo_hybrid",), KINDS),
    **dict.fromkeys((
        "blip", "blip-2", "glm4v_moe", "hunyuan_vl", "idefics", "instructblip", "instructblipvideo", "kimi_k25", "kosmos-2",
        "mistral4", "mistral_large4", "reformer", "xmod"), OWN_CODE),
    **dict.fromkeys((
        "pi0",), IN_PARTS),
    **dict.fromkeys((
        "emu3", "mllama"), UNKNOWN),
    **dict.fromkeys((
        "shieldgemma2",), NO_WEIGHTS),
}

# What a configuration says that does not take the small sizes; nothing of the program is reached.
NOT_BUILT: frozenset[str] = frozenset((
    "blt", "chameleon", "cohere_compass", "cohere_compass_text", "cosmos3_edge", "dbrx", "deepseek_ocr2", "dots3_note",
    "ernie4_5_vl_moe", "evolla", "fast_vlm", "florence2", "gemma3n", "gemma4_assistant", "gemma4_unified_assistant", "glm5_next",
    "granite4_vision", "inkling2", "janus", "molmo2", "muse_spark", "musicgen", "musicgen_melody", "nemotron_h_omni",
    "perception_lm", "pp_formulanet", "roc_bert", "zamba", "zamba2"))
