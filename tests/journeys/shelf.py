"""An upstream server whose tools a test writes down: the program, and what a test says of it.

As a program: `python shelf.py FILE` speaks MCP on its standard input and output, and lists what FILE says at that time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ANY = {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 40}}, "additionalProperties": False}


class Shelf:
    """`command` is what OBSERVATORY_MCP_COMMANDS would hold."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shelf.json"
        self.command = [sys.executable, __file__, str(self.file)]
        self.offers()

    def offers(self, **descriptions: str | dict[str, Any]) -> None:
        """From now on these tools are listed; a description, or more parts of MCP's Tool."""
        tools = [
            {"name": name, "inputSchema": ANY} | ({"description": told} if isinstance(told, str) else told)
            for name, told in descriptions.items()
        ]
        self.file.write_text(json.dumps(tools))

    def is_gone(self) -> None:
        """It ends as soon as it is asked anything."""
        self.file.unlink()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request["method"] == "initialize":
        server = {"name": "<b>The best</b> shelf", "version": "3"}
        version = request["params"]["protocolVersion"]
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}}
    if request["method"] == "tools/list":
        return {"result": {"tools": json.loads(Path(sys.argv[1]).read_text())}}
    if request["method"] == "ping":
        return {"result": {}}
    return {"error": {"code": -32601, "message": "There is no such method."}}


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        if not Path(sys.argv[1]).exists():
            sys.exit(1)
        if "id" in asked:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"]} | answer(asked)) + "\n")
            sys.stdout.flush()
