"""The router. Run it from the root: `python -m streamlit run app/main.py`."""

from pathlib import Path

import streamlit as st

from app.shared import access, layout, resources, weights_reading
from core.data.digests import NotReadYet, remembered_only
from core.spec.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]

st.set_page_config(page_title="PruneScope", layout="wide", initial_sidebar_state=320, menu_items={})
access.require()
st.logo(ROOT / "app" / "shared" / "wordmark.svg")
page = st.navigation(
    [
        st.Page(ROOT / "pages" / "explore.py", title="Explore", url_path="explore", default=True),
        st.Page(ROOT / "pages" / "layers.py", title="Layers", url_path="layers"),
        st.Page(ROOT / "pages" / "masks.py", title="Masks", url_path="masks"),
        st.Page(ROOT / "pages" / "outliers.py", title="Outlier rows", url_path="outliers"),
        st.Page(ROOT / "pages" / "curves.py", title="Curves", url_path="curves"),
        st.Page(ROOT / "pages" / "compare.py", title="Compare", url_path="compare"),
        st.Page(ROOT / "pages" / "tryout.py", title="Try it out", url_path="tryout"),
        st.Page(ROOT / "pages" / "learn.py", title="Learn", url_path="learn"),
        st.Page(ROOT / "pages" / "runs.py", title="Runs", url_path="runs"),
    ],
    position="top",
)
try:
    for sentence in resources.damage():
        layout.note(sentence, tone="bad", title="Stored results are damaged.")
    with remembered_only():
        page.run()
except NotReadYet as unread:
    weights_reading.draw(unread.files)
except BadInput as error:  # what no page can do without, such as a folder for what is computed
    layout.note(f"{error} Then load this page again: its link keeps your settings.", tone="bad", title="This page cannot be shown.")
resources.settle()
