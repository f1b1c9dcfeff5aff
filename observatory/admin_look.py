"""What django-unfold is told about our admin: names, files, sidebar.

Settings import this module, and Unfold reads settings while it is imported: nothing of Unfold may be imported here.
Colours are in observatory/static/observatory/admin.css, since Unfold would write them into each page, which the content
policy forbids.
"""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _style(request: HttpRequest) -> str:
    return static("observatory/admin.css")


def _pages(request: HttpRequest) -> str:
    return static("observatory/pages.css")


def _script(request: HttpRequest) -> str:
    return static("observatory/admin.js")


def _icon(request: HttpRequest) -> str:
    return static("observatory/icon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "MCP Observatory",
    "SITE_HEADER": "MCP Observatory",
    "SITE_SUBHEADER": "What agents may do, and did",
    "SITE_SYMBOL": "radar",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "observatory.admin_site.environment_label",
    "STYLES": [_style, _pages],
    "SCRIPTS": [_script],
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "observatory.admin_site.navigation",
    },
}
