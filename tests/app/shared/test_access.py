"""Who may see the pages."""

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import access

ALLOWED = ("Ada@Example.org", "@team.example.org")


@pytest.mark.parametrize(("user", "expected"), [
    ({"email": "ada@example.org"}, True), ({"email": "ADA@example.org", "email_verified": True}, True),
    ({"email": "anyone@team.example.org"}, True), ({"email": "ada@example.org", "email_verified": False}, False),
    ({"email": "eve@example.org"}, False), ({"email": "eve@notteam.example.org"}, False), ({"email": "eve@team.example.org.evil"}, False),
    ({"email": "ada@example.org@team.example.org"}, False), ({"email": "@team.example.org"}, True), ({}, False), ({"email": None}, False),
])
def test_the_list_names_people_and_domains(user, expected):
    assert access.may_enter(user, ALLOWED) == expected
    assert not access.may_enter(user, ())


def page() -> None:
    import streamlit as st

    from app.shared import access

    access.require()
    st.write("inside")


@pytest.mark.parametrize(("address", "guard", "inside"), [
    ("localhost", False, True), ("127.0.0.1", False, True), ("0.0.0.0", False, False), (None, False, False), ("0.0.0.0", True, True)])
def test_without_a_door_a_server_beyond_loopback_shows_nothing(monkeypatch, address, guard, inside):
    monkeypatch.setitem(access._state, "guarded", guard)
    monkeypatch.setattr("streamlit.get_option", {"server.address": address}.get)
    session = AppTest.from_function(page).run()
    assert bool(session.markdown) == inside
    if not inside:
        assert "make run ADDRESS" in session.main[0].proto.body


@pytest.mark.parametrize(("allow", "user", "words"), [
    (["ada@example.org"], {"is_logged_in": False}, "for people it knows"),
    (["ada@example.org"], {"is_logged_in": True, "email": "eve@example.org"}, "is not on the list"),
    (None, {"is_logged_in": True, "email": "ada@example.org"}, "has no list"),
    (["ada@example.org"], {"is_logged_in": True, "email": "ada@example.org"}, None),
])
def test_people_sign_in_where_a_provider_is_set_up(monkeypatch, allow, user, words):
    class User(dict):
        is_logged_in = user["is_logged_in"]
        to_dict = dict.copy

    monkeypatch.setattr("streamlit.user", User(user))
    session = AppTest.from_function(page)
    session.secrets["auth"] = {"client_id": "x"}
    if allow:
        session.secrets["prunescope"] = {"allow": allow}
    session.run()
    assert bool(session.markdown) == (words is None)
    if words:
        assert words in session.main[0].proto.body
