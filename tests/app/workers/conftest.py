"""Homes for the tests that start processes."""

from __future__ import annotations

import pytest

from app.workers import cluster


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One cluster for the tests that leave it whole."""
    folder = tmp_path_factory.mktemp("shared-home")
    yield folder
    cluster.stop_cluster(folder)


@pytest.fixture
def own_home(tmp_path):
    """A home whose cluster a test may break."""
    yield tmp_path
    cluster.stop_cluster(tmp_path)
