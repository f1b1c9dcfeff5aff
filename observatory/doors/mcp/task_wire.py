"""The messages of the tasks extension, which the package does not bring. Source: SEP-2663, the text of 2026-07-28."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal

from mcp_types import methods
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

VERSION = "2026-07-28"


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class TaskParams(_Wire):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


class TaskRequest(_Wire):
    """`tasks/get` and `tasks/cancel`."""

    params: TaskParams


class UpdateRequest(_Wire):
    params: UpdateParams


class Task(_Wire):
    """A task as `tools/call` creates it and as `tasks/get` tells of it, with what its status brings along."""

    result_type: Literal["task", "complete"]
    task_id: str
    status: Literal["working", "completed", "failed", "cancelled"]
    status_message: str
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Acknowledged(_Wire):
    result_type: Literal["complete"]


REQUESTS: Mapping[tuple[str, str], type[BaseModel]] = {
    **methods.CLIENT_REQUESTS,
    ("tasks/get", VERSION): TaskRequest,
    ("tasks/update", VERSION): UpdateRequest,
    ("tasks/cancel", VERSION): TaskRequest,
}
_RESULTS: Mapping[tuple[str, str], type[BaseModel] | UnionType] = {
    **methods.SERVER_RESULTS,
    ("tasks/get", VERSION): Task,
    ("tasks/update", VERSION): Acknowledged,
    ("tasks/cancel", VERSION): Acknowledged,
}
_TASK_CREATED: Mapping[tuple[str, str], type[BaseModel] | UnionType] = {("tools/call", VERSION): Task}


def results_like(found: Mapping[str, Any]) -> Mapping[tuple[str, str], type[BaseModel] | UnionType]:
    """The table of results that this one is written by: a call may be answered by a task instead of its result."""
    return _TASK_CREATED if found.get("resultType") == "task" else _RESULTS
