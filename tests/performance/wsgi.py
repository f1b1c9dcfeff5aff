"""The product's application with bare views beside it, which pass none of its middleware."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = "tests.performance.bare"
_product = get_wsgi_application()
# One is needed: it says how long an answer is, without which connections are not kept.
_middleware, settings.MIDDLEWARE = settings.MIDDLEWARE, ["django.middleware.common.CommonMiddleware"]
_bare = WSGIHandler()
settings.MIDDLEWARE = _middleware


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    handler = _bare if environ["PATH_INFO"].startswith("/bare/") else _product
    return handler(environ, start_response)
