"""How a tool is run, by its kind. Each answers an Execution and raises nothing."""

from collections.abc import Callable, Mapping

from tools.contract import Execution, ToolCall
from tools.executors import http, mcp, python

EXECUTORS: Mapping[str, Callable[[ToolCall], Execution]] = {
    "python": python.execute,
    "http": http.execute,
    "mcp": mcp.execute,
}
