"""Access to the pages: everybody on loopback, holders of the token (app/server), or people who signed in and are on the list.

    .streamlit/secrets.toml    [auth] ...                a provider for st.login (OIDC)
                               [prunescope] allow = ["ada@example.org", "@team.example.org"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from app.shared import layout
from app.shared.loopback import is_loopback

_state = {"guarded": False}


def guarded() -> None:
    """Tell this process that app/server stands before the pages: whoever reaches them has shown the token, or needs none."""
    _state["guarded"] = True


def guarded_here() -> bool:
    """True where app/server serves the pages, with its own addresses beside them."""
    return _state["guarded"]


def login_configured() -> bool:
    """True where the secrets name a provider to sign in with."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def person() -> str:
    """Address of who has signed in; "" where nobody needs to."""
    return str(st.user.get("email") or "").strip().lower() if login_configured() and st.user.is_logged_in else ""


def require() -> None:
    """End the page's script for whoever may not see it, with words."""
    if login_configured():
        _require_person()
    elif not _state["guarded"] and not is_loopback(st.get_option("server.address")):
        layout.note("This server can be reached from other machines and asks nobody for a token. Start it with `make run ADDRESS=…` or "
                    "`python -m app.server --address …`, which print a link that holds one.", tone="bad", title="Not shown.")
        st.stop()


def may_enter(user: Mapping[str, Any], allowed: Iterable[str]) -> bool:
    """True where a person who signed in is on the list: a whole address, or @domain for all of it. An address that the provider has
    not verified is nobody's."""
    address = str(user.get("email") or "").strip().lower()
    if address.count("@") != 1 or user.get("email_verified") is False:
        return False
    names = {str(name).strip().lower() for name in allowed}
    return address in names or f"@{address.partition('@')[2]}" in names


def _require_person() -> None:
    if not st.user.is_logged_in:
        layout.note("This server is for people it knows.", title="Sign in to PruneScope.")
        st.button("Sign in", on_click=st.login, type="primary", key="sign_in")
        st.stop()
    allowed = _allowed()
    if not may_enter(st.user.to_dict(), allowed):
        why = ("is not on the list of this server." if allowed else
               "cannot be let in: secrets.toml has no list `allow` under [prunescope], so nobody is on it.")
        layout.note(f"{str(st.user.get('email') or 'This account')[:100]} {why}", tone="bad", title="Not shown.")
        st.button("Sign out", on_click=st.logout, key="sign_out")
        st.stop()


def _allowed() -> tuple[str, ...]:
    section = st.secrets.get("prunescope", {})
    listed = section.get("allow", ()) if isinstance(section, Mapping) else ()
    return (listed,) if isinstance(listed, str) else tuple(str(name) for name in listed)
