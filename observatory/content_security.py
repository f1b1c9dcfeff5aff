"""The Content-Security-Policy of every page, as django-csp reads it: our own files only, no eval, nothing inline.

Scripts and styles come from static files, so no nonce is needed. Alpine and select2 set styles through the CSSOM,
which a policy does not forbid. observatory/static/observatory/admin.js keeps Unfold inside it.
"""

from typing import Any

from csp.constants import NONE, SELF

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # Small pictures inside style sheets are data: addresses.
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
