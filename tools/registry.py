"""`@tool`: a typed Python function becomes a tool; its schemas come from its annotations, by pydantic."""

from __future__ import annotations

import datetime as dt
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from telemetry.canonical import canonical_bytes, digest
from tools.cancellation import Cancellation
from tools.contract import Progress
from tools.reserved_names import RESERVED_PREFIX

RISKS = ("low", "medium", "high")
FLOWS = ("no", "yes", "undeclared")


class ToolError(Exception):
    """The tool refuses this input and has changed nothing. The text goes to the agent: no secrets in it."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of its call; a parameter annotated with it is filled in and is not in the schema."""

    call_id: str
    agent: str
    now: dt.datetime
    progress: Progress | None = field(default=None, repr=False, compare=False)
    cancellation: Cancellation | None = field(default=None, repr=False, compare=False)

    def report(self, done: float, total: float | None = None, message: str = "") -> None:
        """Whoever asked is told how far the run is, where they wanted to know. `done` only goes up."""
        if self.progress is not None:
            self.progress(done, total, message)

    @property
    def is_cancelled(self) -> bool:
        """The caller has taken the call back. Nothing stops a run but the tool itself, which may look here."""
        return self.cancellation is not None and self.cancellation.is_cancelled


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a tool says of itself. The digest covers what an agent is told of it."""

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    annotations: Mapping[str, Any]
    settings: Mapping[str, Any]
    # Where calls go, for a tool that is an endpoint: another destination is another version.
    destination: str = ""

    @property
    def digest(self) -> str:
        destination = {"destination": self.destination} if self.destination else {}
        return digest(
            canonical_bytes(
                destination
                | {
                    "name": self.name,
                    "title": self.title,
                    "description": self.description,
                    "input_schema": self.input_schema,
                    "output_schema": self.output_schema,
                    "annotations": self.annotations,
                }
            )
        )


@dataclass(frozen=True, slots=True)
class PythonTool:
    declaration: Declaration
    function: Callable[..., Any]
    arguments_model: type[BaseModel]
    output: TypeAdapter[Any]
    context_parameter: str | None

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> Callable[[], Any]:
        """The function with its arguments, ready to run once; its answer is JSON-ready Python.

        Raises pydantic's ValidationError where an argument does not fit; nothing has run then.
        """
        model = self.arguments_model.model_validate(arguments)
        values = {name: getattr(model, name) for name in type(model).model_fields}
        if self.context_parameter:
            values[self.context_parameter] = context

        def run() -> Any:
            return self.output.dump_python(self.output.validate_python(self.function(**values)), mode="json")

        return run


_registered: dict[str, PythonTool] = {}


def registered() -> Mapping[str, PythonTool]:
    """Every Python tool of the installed apps, by name. Loads each app's `agent_tools` module once."""
    autodiscover_modules("agent_tools")
    return _registered


def find(name: str) -> PythonTool | None:
    return _registered.get(name) or registered().get(name)


def tool(  # noqa: PLR0913 (what a tool can declare)
    *,
    name: str = "",
    title: str = "",
    risk: str = "medium",
    read_only: bool = False,
    idempotent: bool = False,
    irreversible: bool = False,
    destructive: bool | None = None,
    network: str = "undeclared",
    open_world: bool = False,
    brings_untrusted_text: str = "undeclared",
    brings_private_data: str = "undeclared",
    sends_outside: str = "undeclared",
    requires_approval: bool = False,
    requires_two_phase: bool = False,
    accepts_confirm: bool = False,
    supports_idempotency_key: bool = False,
    timeout_s: int = 10,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The function is a tool under its own name. What it declares are proposals: operators decide in admin.

    `destructive` tells agents that something is taken away, even where it can be undone; unless given, as irreversible.
    """
    if risk not in RISKS:
        raise ValueError(f"risk is one of {', '.join(RISKS)}")
    if not {network, brings_untrusted_text, brings_private_data, sends_outside} <= set(FLOWS):
        raise ValueError(f"network, what comes in and what goes out are each one of {', '.join(FLOWS)}")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        tool_name = name or function.__name__
        if tool_name.startswith(RESERVED_PREFIX):
            raise ValueError(f"{tool_name}: names that begin with {RESERVED_PREFIX} are this installation's own tools")
        if tool_name in _registered:
            raise ValueError(f"the tool {tool_name} is declared twice")
        model, context_parameter = _arguments_model(tool_name, function)
        output: TypeAdapter[Any] = TypeAdapter(typing.get_type_hints(function, include_extras=True)["return"])
        input_schema = model.model_json_schema()
        if accepts_confirm:
            input_schema["properties"]["confirm"] = {
                "type": "boolean",
                "default": False,
                "description": "Run at once where the policy lets this key confirm for itself.",
            }
        declaration = Declaration(
            name=tool_name,
            title=title or tool_name.replace("_", " ").capitalize(),
            description=inspect.getdoc(function) or "",
            input_schema=input_schema,
            output_schema=_object_schema(tool_name, output),
            annotations={
                "readOnlyHint": read_only,
                "destructiveHint": irreversible if destructive is None else destructive,
                "idempotentHint": idempotent or read_only,
                "openWorldHint": open_world,
            },
            settings={
                "risk": risk,
                "read_only": read_only,
                "idempotent": idempotent or read_only,
                "irreversible": irreversible,
                "network": network,
                "brings_untrusted_text": brings_untrusted_text,
                "brings_private_data": brings_private_data,
                "sends_outside": sends_outside,
                "requires_approval": requires_approval,
                "requires_two_phase": requires_two_phase,
                "accepts_confirm": accepts_confirm,
                "supports_idempotency_key": supports_idempotency_key,
                "timeout_s": timeout_s,
            },
        )
        _registered[tool_name] = PythonTool(declaration, function, model, output, context_parameter)
        return function

    return register


def _arguments_model(tool_name: str, function: Callable[..., Any]) -> tuple[type[BaseModel], str | None]:
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) is ToolContext:
            context_parameter = parameter.name
            continue
        if parameter.name not in hints:
            raise TypeError(f"{tool_name}: annotate the parameter {parameter.name}")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    model = create_model(f"{tool_name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    return model, context_parameter


def _object_schema(tool_name: str, output: TypeAdapter[Any]) -> dict[str, Any]:
    schema = output.json_schema(mode="serialization")
    if schema.get("type") != "object":
        raise TypeError(f"{tool_name}: the output must be an object (a pydantic model), not {schema.get('type')}")
    return schema
