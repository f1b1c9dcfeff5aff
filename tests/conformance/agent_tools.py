"""The tools that the conformance suite calls by name. What they are called and answer is the suite's wish."""

from typing import Annotated

from pydantic import BaseModel, Field

from tools.registry import ToolError, tool


class Said(BaseModel):
    text: str


@tool(risk="low", read_only=True, network="no")
def test_simple_text() -> Said:
    """Answers a text."""
    return Said(text="This is a simple text response for testing.")


@tool(risk="low", read_only=True, network="no")
def test_error_handling() -> Said:
    """Refuses whatever it is asked."""
    raise ToolError("This tool intentionally returns an error for testing")


@tool(risk="low", read_only=True, network="no")
def greet(name: Annotated[str, Field(max_length=40)]) -> Said:
    """Greets at once: no task comes of it."""
    return Said(text=f"Hello, {name}!")


@tool(risk="low", read_only=True, network="no")
def test_region(
    region: Annotated[str, Field(max_length=40, json_schema_extra={"x-mcp-header": "Region"})],
) -> Said:
    """Has an argument that travels in a header too."""
    return Said(text=region)


@tool(risk="low", read_only=True, network="no")
def test_streaming_elicitation() -> Said:
    """Runs while the suite watches that no request of the server's own comes along its stream."""
    return Said(text="This server asks its clients nothing while a tool runs.")


@tool(risk="low", read_only=True, network="no")
def test_logging_tool() -> Said:
    """Runs while the suite watches that no log message comes that it did not ask for."""
    return Said(text="This server sends its clients no log messages.")
