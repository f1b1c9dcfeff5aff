"""Where access tokens for this installation come from, for clients that have none. Source: RFC 9728."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.mcp.methods import SERVER_INFO
from observatory.doors.problem import Refusal
from tools.access_tokens import trusted
from tools.scopes import Scope

WELL_KNOWN = "/.well-known/oauth-protected-resource"
KEPT_S = 300
# Public, the same for everybody and without credentials, so pages of any site may read it. Clients send their version.
CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "MCP-Protocol-Version",
    "Access-Control-Max-Age": "86400",
}


def metadata_url() -> str | None:
    """Where clients find the document: at the origin of the audience, whatever host a request names. None where off."""
    issuer = trusted()
    if issuer is None:
        return None
    parts = urlsplit(issuer.audience)
    return urlunsplit((parts.scheme, parts.netloc, WELL_KNOWN + parts.path.rstrip("/"), "", ""))


class ResourceMetadataView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @openapi.resource_metadata
    def get(self, request: Request) -> Response:
        issuer = trusted()
        if issuer is None:
            raise Refusal("not_found")
        document = {
            "resource": issuer.audience,
            "authorization_servers": [issuer.issuer],
            # What calling tools needs. Clients that are told no scope ask for all of these, so it is the least.
            "scopes_supported": [Scope.TOOLS_CALL.value],
            "bearer_methods_supported": ["header"],
            "resource_name": SERVER_INFO["title"],
        }
        return Response(document, headers={"Cache-Control": f"public, max-age={KEPT_S}", **CROSS_ORIGIN})

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """The browser's question before it lets a page ask."""
        if trusted() is None:
            raise Refusal("not_found")
        return Response(status=204, headers=CROSS_ORIGIN)
