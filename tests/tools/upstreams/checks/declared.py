"""Declarations for tests, from the little that matters in each."""

from typing import Any


def declared(
    name: str = "add",
    description: str = "Adds two numbers.",
    *,
    properties: dict[str, Any] | None = None,
    schema: Any = None,
    output_schema: Any = None,
    **rest: Any,
) -> dict[str, Any]:
    if schema is None:
        schema = {"type": "object", "properties": properties or {"a": {"type": "number"}, "b": {"type": "number"}}}
    return {
        "name": name,
        "title": "",
        "description": description,
        "input_schema": schema,
        "output_schema": output_schema,
        "annotations": {},
    } | rest
