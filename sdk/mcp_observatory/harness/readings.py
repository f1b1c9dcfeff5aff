"""What any MCP client answers, read: tools from a listing; a text, its content and whether it failed from a call."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_observatory.guards.session_policy import network_of
from mcp_observatory.harness.records import MCPTool, list_of, text_of

_MOST_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Output:
    """`text` is what a person would read of it, `data` where that is JSON the same as a value, `content` all of it."""

    text: str
    content: Any
    is_error: bool = False
    data: Any = None


def tools_of(listing: Any) -> list[MCPTool]:
    """The tools of a listing: a list, or an object or mapping with `tools`. What has no name is none."""
    found = _field(listing, "tools") if not isinstance(listing, list | tuple) else listing
    tools = (_tool(_as_json(one)) for one in list_of(found))
    return [tool for tool in tools if tool.name]


def output_of(answer: Any) -> Output:
    """The answer of a call: a CallToolResult, the mapping of one, or whatever else the client makes of it."""
    content = _as_json(answer)
    if isinstance(content, str) or content is None:
        return Output(content or "", content)
    if not isinstance(content, Mapping) or not isinstance(content.get("content"), list):
        return Output(written(content), content, data=content)
    said = [text_of(block.get("text")) for block in content["content"] if isinstance(block, Mapping)]
    structured = _either(content, "structuredContent", "structured_content")
    is_error = _either(content, "isError", "is_error") is True
    if any(said) or structured is None:
        return Output("\n".join(filter(None, said)), content, is_error)
    return Output(written(structured), content, is_error, structured)


def written(value: Any) -> str:
    """The value as JSON that a person can read."""
    return json.dumps(value, ensure_ascii=False)


def text_in(value: Any) -> str:
    """Every text and number in a value that is JSON, names too, a line each, as the server's detectors read it."""
    return "\n".join(_texts(value, 0))


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping | list) and depth >= _MOST_DEPTH:
        yield written(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str | int | float) and not isinstance(item, bool):
                yield f"{name}: {item}"
            else:
                yield str(name)
                yield from _texts(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _tool(listed: Any) -> MCPTool:
    found = listed if isinstance(listed, Mapping) else {}
    schema, annotations = _either(found, "inputSchema", "input_schema"), found.get("annotations")
    return MCPTool(
        name=text_of(found.get("name")),
        description=text_of(found.get("description")),
        input_schema=schema if isinstance(schema, Mapping) else {},
        annotations=annotations if isinstance(annotations, Mapping) else {},
        network=network_of(found),
    )


def _either(found: Mapping[str, Any], name: str, other: str) -> Any:
    return found[name] if name in found else found.get(other)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _as_json(value: Any) -> Any:
    """A copy in the types of JSON; the package's own classes by their aliases, anything else by what it says of
    itself.
    """
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(mode="json", by_alias=True, exclude_none=True)
    return json.loads(json.dumps(value, default=_said, ensure_ascii=False))


def _said(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, Mapping):
        return dict(value)
    fields = getattr(value, "__dict__", None)
    return {name: item for name, item in fields.items() if not name.startswith("_")} if fields else str(value)
