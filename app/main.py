"""The router. Run it from the root: `python -m streamlit run app/main.py`."""

from pathlib import Path

import streamlit as st

from app.shared import about, access, layout, resources, weights_reading
from app.shared.page_links import PAGES, TITLES, tab_title
from core.data.digests import NotReadYet, remembered_only
from core.spec.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]

st.set_page_config(layout="wide", initial_sidebar_state=320, menu_items={"About": about.markdown()})
access.require()
st.logo(ROOT / "app" / "shared" / "wordmark.svg")
page = st.navigation(
    [st.Page(PAGES / f"{name}.py", title=title, url_path=name, default=name == next(iter(TITLES))) for name, title in TITLES.items()],
    position="top",
)
st.set_page_config(page_title=tab_title(page.title))
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
