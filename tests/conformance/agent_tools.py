"""The tools that the conformance suite calls by name. What they are called and answer is the suite's wish."""

import time
from typing import Annotated

from pydantic import BaseModel, Field

from telemetry.recorder import SYSTEM
from tools.actions.tools import save_tool
from tools.models import Tool
from tools.registry import ToolContext, ToolError, tool

# Progress that comes quicker is told together.
PAUSE_S = 0.15


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


@tool(risk="low", read_only=True, network="no")
def test_tool_with_progress(context: ToolContext) -> Said:
    """Tells three times how far it is."""
    for done in (0, 50, 100):
        context.report(done, 100)
        time.sleep(PAUSE_S)
    return Said(text="All of it was told.")


@tool(risk="low", network="no")
def test_trigger_tool_change() -> Said:
    """Changes what the list of tools says."""
    other = Tool.objects.get(name="test_region")
    other.risk = "low" if other.risk == "medium" else "medium"
    save_tool(other, SYSTEM)
    return Said(text="The list is another one now.")


# What waits for a person is a task; who agrees, and when, is in people.py.


@tool(risk="low", network="no", requires_approval=True)
def slow_compute(seconds: Annotated[int, Field(ge=0, le=60)], label: str = "") -> Said:
    """Is agreed to after so many seconds."""
    return Said(text=f"{label}: done")


@tool(risk="low", network="no", requires_approval=True)
def failing_job() -> Said:
    """Refuses, once it was agreed to."""
    raise ToolError("This job fails.")


@tool(risk="low", network="no", requires_approval=True)
def protocol_error_job() -> Said:
    """Breaks down, once it was agreed to."""
    raise RuntimeError("This job breaks down.")


@tool(risk="low", network="no", requires_approval=True)
def confirm_delete(filename: Annotated[str, Field(max_length=200)]) -> Said:
    """Is agreed to by a person, and asks its client for nothing."""
    return Said(text=f"{filename} is deleted.")


# What the key's own user may confirm, so that a call is answered by a question.


@tool(risk="low", network="no", requires_approval=True)
def test_input_required_result_elicitation() -> Said:
    """Runs once its user said so."""
    return Said(text="Hello, Alice!")


@tool(risk="low", network="no", requires_approval=True)
def test_input_required_result_request_state() -> Said:
    """Runs once its user said so, and the state that came back is the one that was sent."""
    return Said(text="state-ok")


@tool(risk="low", network="no", requires_approval=True)
def test_input_required_result_tampered_state() -> Said:
    """Never runs: the state that comes back is another."""
    return Said(text="state-ok")


@tool(risk="low", network="no", requires_approval=True)
def test_input_required_result_capabilities() -> Said:
    """Is called by a client that shows no forms."""
    return Said(text="Nobody was asked.")
