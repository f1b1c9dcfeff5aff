"""What journeys share besides tests/world.py: a server that stands behind this one."""

import sys

import pytest

from tests.upstreams import notebook


@pytest.fixture
def folder(tmp_path, settings):
    """Where the notebook keeps what it says and what it did; the command `notebook` runs it."""
    notebook.describe(tmp_path)
    settings.MCP_COMMANDS = {"notebook": [sys.executable, notebook.__file__, str(tmp_path)]}
    return tmp_path
