"""One POST as one JSON-RPC message, and which era of the protocol it speaks. Source: JSON-RPC 2.0; MCP transports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    classify_inbound_request,
    unsupported_protocol_version_rejection,
)
from mcp_types import DEFAULT_NEGOTIATED_VERSION, INVALID_REQUEST, PARSE_ERROR
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from telemetry.canonical import NotCanonical, parse

VERSION_HEADER = "mcp-protocol-version"


class RpcError(Exception):
    """The message is answered with a JSON-RPC error. `request_id` is None where none could be read."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def as_json(self, request_id: str | int | None) -> dict[str, Any]:
        data = {} if self.data is None else {"data": self.data}
        return {"jsonrpc": "2.0", "id": request_id, "error": {"code": self.code, "message": self.message, **data}}

    def status(self, *, stateless: bool) -> int:
        """The handshake era answers errors of a readable request with 200."""
        unreadable = self.code in (PARSE_ERROR, INVALID_REQUEST)
        return ERROR_CODE_HTTP_STATUS.get(self.code, 200) if stateless or unreadable else 200


@dataclass(frozen=True, slots=True)
class Message:
    """A request that is to be answered. `capabilities` are the client's, as the request itself declares them."""

    id: str | int
    method: str
    params: Mapping[str, Any]
    version: str
    stateless: bool
    headers: Mapping[str, str]
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    @property
    def meta(self) -> Mapping[str, Any]:
        found = self.params.get("_meta")
        return found if isinstance(found, Mapping) else {}


def parsed(body: bytes, max_bytes: int) -> Any:
    """The document of a body. Raises RpcError."""
    try:
        return parse(body, max_bytes=max_bytes)
    except NotCanonical as problem:
        raise RpcError(PARSE_ERROR, problem.detail, {"reason": problem.code}) from None


def speaks_stateless(headers: Mapping[str, str]) -> bool:
    """The era is told by the version header: the handshake era names one of its own, or none."""
    version = headers.get(VERSION_HEADER)
    return version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS


def request_id_of(document: Any) -> str | int | None:
    found = document.get("id") if isinstance(document, Mapping) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def message_of(document: Any, headers: Mapping[str, str]) -> Message | None:
    """The request; None for a notification or a response, which is only acknowledged. Raises RpcError."""
    stateless = speaks_stateless(headers)
    if not isinstance(document, Mapping) or document.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "Send one JSON-RPC 2.0 request or notification; batches are not read.")
    if "method" not in document and not stateless and ("result" in document or "error" in document):
        return None
    method, params = document.get("method"), document.get("params", {})
    if not isinstance(method, str) or not isinstance(params, Mapping):
        raise RpcError(INVALID_REQUEST, "method is a string, params an object.")
    if "id" not in document:
        if stateless:
            _refuse(unsupported_protocol_version_rejection(headers[VERSION_HEADER]))
        return None
    request_id = request_id_of(document)
    if request_id is None:
        raise RpcError(INVALID_REQUEST, "id is a string or a whole number.")
    if not stateless:
        version = headers.get(VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
        return Message(request_id, method, params, version, stateless=False, headers=headers)
    route = classify_inbound_request(document, headers=headers)
    if isinstance(route, InboundLadderRejection):
        _refuse(route)
        raise AssertionError
    capabilities = route.client_capabilities if isinstance(route.client_capabilities, Mapping) else {}
    return Message(
        request_id, method, params, route.protocol_version, stateless=True, headers=headers, capabilities=capabilities
    )


def _refuse(rejection: InboundLadderRejection | None) -> None:
    if rejection is not None:
        raise RpcError(rejection.code, rejection.message, rejection.data)
