"""Controls of the texts side by side; what they say is in the page's link."""

from __future__ import annotations

import streamlit as st

from app.shared import address, state
from app.tryout.text_query import CODEC, LENGTHS, MOST_BESIDE, PROMPTS, TextAsked
from core.spec import METHOD_LABELS, METHODS, RunSpec

_OWN_PROMPTS = 12  # that a tab remembers


def draw(spec: RunSpec, asked: TextAsked) -> None:
    """Prompt, further models, length, sampling."""
    own: tuple[str, ...] = state.recall("text-prompts", ())
    if asked.prompt not in (*PROMPTS, *own):
        own = (asked.prompt, *own)[:_OWN_PROMPTS]
        state.remember("text-prompts", own)
    values = {"prompt": asked.prompt, "beside": list(asked.beside), "sampling": "sampled" if asked.temperature else "greedy",
              "temperature": asked.temperature or 1.0, "seed": asked.text_seed, "tokens": asked.tokens}
    for name, value in values.items():
        state.set_widget(f"text-{name}", value)
    st.selectbox("Prompt", [*own, *PROMPTS], key="text-prompt", accept_new_options=True, on_change=_chosen,
                 help="Choose one, or type your own and press Enter; those you typed stay in the list.")
    with st.container(horizontal=True, vertical_alignment="bottom", key="tryout-text-controls"):
        st.multiselect("Beside it", [name for name in METHODS if name != spec.method.name or name in asked.beside], key="text-beside",
                       format_func=METHOD_LABELS.__getitem__, max_selections=MOST_BESIDE, on_change=_chosen, placeholder="another method",
                       help="Up to two more pruned models: the same pattern, by other methods with their defaults.")
        st.selectbox("Tokens", sorted({*LENGTHS, asked.tokens}), key="text-tokens", on_change=_chosen, width=100)
        st.segmented_control("Next token", ["greedy", "sampled"], key="text-sampling", on_change=_chosen, required=True,
                             help="Greedy: always the most probable. Sampled: drawn by a seed, with the same chance for all models, so "
                             "that texts part where pruning has changed the probabilities.")
        if asked.temperature:
            st.number_input("Temperature", 0.1, 2.0, key="text-temperature", step=0.1, format="%g", on_change=_chosen, width=130)
            st.number_input("Seed", 0, 9999, key="text-seed", step=1, on_change=_chosen, width=120)


def _chosen() -> None:
    """Write what the controls say into the link; the default is left out."""
    said = {name: state.widget(f"text-{name}") for name in ("prompt", "beside", "tokens", "sampling", "temperature", "seed")}
    sampled = said["sampling"] == "sampled"
    asked = CODEC.read({"prompt": (said["prompt"] or "").strip() or PROMPTS[0], "beside": tuple(said["beside"]), "tokens": said["tokens"],
                        "temperature": said["temperature"] or 1.0 if sampled else 0.0, "text_seed": said["seed"] or 0 if sampled else 0})[0]
    words = CODEC.write(asked)
    for name in CODEC.words:
        address.set_word(name, words.get(name, ""))
