"""An upstream whose tools answer what only MCP has: text as it stands, pictures, sounds, resources. Run over stdio.

Source: the suite's scenarios tools-call-*. It speaks 2025-11-25, without any package, so that it starts at once.
"""

import json
import sys
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": WAV, "mimeType": "audio/wav"}
TEXT = {"type": "text", "text": "This is text content."}
RESOURCE = {
    "uri": "test://embedded-resource",
    "mimeType": "text/plain",
    "text": "This is an embedded resource content.",
}
EMBEDDED = {"type": "resource", "resource": RESOURCE}
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [EMBEDDED],
    "test_multiple_content_types": [TEXT, IMAGE, EMBEDDED],
}
GREET = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SCHEMAS = {name: {"type": "object"} for name in ANSWERS} | {"greet": GREET}


def answer_to(method: str, params: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            info = {"name": "content", "version": "1.0"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {
                "tools": [
                    {"name": name, "description": f"Answers {name}.", "inputSchema": schema}
                    for name, schema in SCHEMAS.items()
                ]
            }
        case "tools/call" if params["name"] == "greet":
            return {"content": [{"type": "text", "text": f"Hello, {params['arguments']['name']}!"}]}
        case "tools/call":
            return {"content": ANSWERS[params["name"]]}
    return {}


if __name__ == "__main__":
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            result = answer_to(message["method"], message.get("params") or {})
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
            sys.stdout.flush()
