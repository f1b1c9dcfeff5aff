"""What an upstream sent, as it may be passed on: no terminal codes, no characters that hide, no credentials.

Source: ECMA-48 (escape sequences); Unicode's tag block (U+E0000 to U+E007F), which models read and people do not see.
"""

import re
from collections.abc import Mapping
from typing import Any

from telemetry.redaction import mask_credentials

# Operating system commands and the like run to BEL or ST; control sequences to their final byte; the rest is two bytes.
_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"
    r"|\x1b[ -/]{0,16}[0-~]?"
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
# Of blocks whose payload is base64: any change would break it, and nobody reads it as text.
_BINARY = {("image", "data"), ("audio", "data"), ("", "blob")}


def clean_text(text: str, *, mask: bool = True) -> str:
    """The text without what a terminal or a model would obey and a person not see; credentials masked."""
    if not (text.isascii() and text.isprintable()):
        text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return mask_credentials(text) if mask else text


def clean(value: Any, *, mask: bool = True) -> Any:
    """The same value with every text and key of it cleaned."""
    if isinstance(value, str):
        return clean_text(value, mask=mask)
    if isinstance(value, Mapping):
        kind = value.get("type") if isinstance(value.get("type"), str) else ""
        return {
            clean_text(key, mask=mask): item if _is_binary(kind, key, value, item) else clean(item, mask=mask)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [clean(item, mask=mask) for item in value]
    return value


_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")


def _is_binary(kind: Any, key: str, block: Mapping[str, Any], item: Any) -> bool:
    """A payload that says it is base64, and is."""
    if not isinstance(item, str) or "mimeType" not in block:
        return False
    of_block = (kind, key) in _BINARY or ("", key) in _BINARY
    return of_block and _BASE64.fullmatch(item) is not None
