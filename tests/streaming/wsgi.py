"""The product's WSGI application, with tools that take their time."""

from observatory.wsgi import application
from tests.streaming.slow_tools import register

__all__ = ("application",)
register()
