"""The key of requests to /mcp that carry none: for the conformance suite, which has no way to send one."""

from typing import Any

from django.conf import settings

CREDENTIALS = ("HTTP_X_API_KEY", "HTTP_AUTHORIZATION")


def lend_test_key(request: Any) -> None:
    """A request without any credential carries the test key; only in a demonstration or on a developer's machine.

    A credential that is there is never replaced, however wrong it is.
    """
    if not settings.MCP_TEST_KEY or not (settings.DEMO or settings.DEBUG):
        return
    if not any(name in request.META for name in CREDENTIALS):
        request.META["HTTP_X_API_KEY"] = settings.MCP_TEST_KEY
