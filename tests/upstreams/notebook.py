"""A notebook as an MCP server over stdio, without any package, so that it starts at once and may say what no package
would let it. What it says of its tools stands in a file, and what it did in another. It speaks 2025-11-25.

Run: python notebook.py <folder>. `<folder>/tools.json` is read at each listing; `<folder>/calls.jsonl`
gets a line for each call that came in. A secret in the environment is told by the tool `whoami`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

ANY = {"type": "object"}
TOOLS = [
    {
        "name": "add_note",
        "description": "Adds a note and tells how many there are.",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        "outputSchema": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
        "annotations": {"readOnlyHint": False, "destructiveHint": False},
    },
    {
        "name": "Read-Notes",
        "description": "Reads every note.",
        "inputSchema": ANY,
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    },
    {"name": "leak", "description": "Answers what should not be passed on.", "inputSchema": ANY},
    {"name": "refuse", "description": "Always answers an error.", "inputSchema": ANY},
    {"name": "wait", "description": "Waits until it is cancelled.", "inputSchema": ANY},
    {"name": "die", "description": "Ends the server in the middle of the call.", "inputSchema": ANY},
    {"name": "whoami", "description": "Tells the credential it was started with.", "inputSchema": ANY},
    {"name": "long", "description": "Answers more than anybody wants.", "inputSchema": ANY},
]


def describe(folder: Path, tools: list[dict[str, Any]] | None = None) -> None:
    """From the next listing on the server says this of its tools."""
    (folder / "tools.json").write_text(json.dumps(TOOLS if tools is None else tools))


def calls(folder: Path) -> list[dict[str, Any]]:
    """Every call that reached the server: name, arguments, meta."""
    path = folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answer_to(folder: Path, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """The result; None where there is to be no answer."""
    match method:
        case "initialize":
            info = {"name": "notebook", "version": "1.0"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": json.loads((folder / "tools.json").read_text())}
        case "tools/call":
            return _called(folder, params)
        case "ping":
            return {}
    raise LookupError(method)


def _called(folder: Path, params: dict[str, Any]) -> dict[str, Any] | None:
    name, arguments = params["name"], params.get("arguments") or {}
    call = {"name": name, "arguments": arguments, "meta": params.get("_meta", {}), "environment": sorted(os.environ)}
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")
    notes = folder / "notes.txt"
    match name:
        case "add_note":
            with notes.open("a") as file:
                file.write(arguments["text"] + "\n")
            count = len(notes.read_text().splitlines())
            return _text(str(count), structuredContent={"count": count})
        case "Read-Notes":
            return _text(notes.read_text())
        case "leak":
            return _text("\x1b[31mred\x1b[0m ghp_abcdefghijklmnopqrstuvwxyz0123456789 \U000e0041done")
        case "refuse":
            return _text("No: \x1b[2Jthe notebook is full.", isError=True)
        case "wait":
            return None
        case "die":
            os._exit(1)
        case "long":
            return _text("word " * 100_000)
    return _text(os.environ.get("NOTEBOOK_TOKEN", "nobody"))


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def main(folder: Path) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            result = answer_to(folder, message["method"], message.get("params") or {})
        except LookupError:
            reply["error"] = {"code": -32601, "message": "Method not found"}
        else:
            if result is None:
                continue
            reply["result"] = result
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
