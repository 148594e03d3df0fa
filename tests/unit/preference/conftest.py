"""Fixtures of the tests of judges."""

import pytest
from chat_server import KEY, VARIABLE


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A working folder of its own, the key of the endpoint, and no proxy before it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
