"""What the docs and admin say of connecting is run as it stands, wherever no other company's program is needed."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.node.installed import PLACE
from tests.serving import serving
from tools.client_snippets import snippets

# The Inspector's text has npx fetch it; here the one of the lock runs.
FETCHED = "npx -y @modelcontextprotocol/inspector"
INSTALLED = "{node} node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_each_snippet_lists_the_tools_of_the_key(world, node, tmp_path):
    caller = world.caller(world.allowing("search_customer"))
    with serving(tmp_path) as server:
        texts = {one.slug: one.text for one in snippets(f"{server.url}/mcp", caller.secret)}
        script = PLACE / f"{tmp_path.name}.mjs"
        script.write_text(texts["typescript"])
        inspector = texts["inspector"].replace(FETCHED, INSTALLED.format(node=node))
        commands = {
            "python": [sys.executable, "-c", texts["python"]],
            "typescript": [node, script.name],
            "inspector": ["sh", "-c", inspector],
            **({"curl": ["sh", "-c", texts["curl"]]} if shutil.which("curl") else {}),
        }
        said = {slug: ran(command, tmp_path) for slug, command in commands.items()}
        script.unlink()
    for slug in ("python", "typescript"):
        assert "'search_customer'" in said[slug], slug
    lists = {"inspector": json.loads(said["inspector"])["tools"]}
    if "curl" in said:
        lists["curl"] = json.loads(said["curl"])["result"]["tools"]
    for slug, tools in lists.items():
        assert "search_customer" in {tool["name"] for tool in tools}, slug


def ran(command, home):
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(command, cwd=PLACE, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
