"""Orders to the model where only a description of the tool belongs, in any text of the declaration.

Finds wordings that are known. Orders in ordinary English that name nothing suspicious pass: see what is said of that
in docs/explanation/upstream-servers.md.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from telemetry.detectors.lookalikes import as_read
from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.phrases import PHRASES, ROLE_LINE, SENSITIVE_FILE
from tools.upstreams.checks.texts import Role, Text, texts_of

_BLOB = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w+/=-])")
_LONG_BLOB = 120
_PRINTABLE = re.compile(rb"[\t\n\r -~]{16,}\Z")


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    for text in texts_of(declaration):
        yield from _in_words(text, _words(text))
        yield from _encoded(text)


def _words(text: Text) -> str:
    read = as_read(text.text)
    # A name can be a sentence: before_use_read_the_config_file.
    return read if " " in read or "_" not in read else f"{read} {read.replace('_', ' ')}"


def _in_words(text: Text, words: str) -> Iterator[Finding]:
    for phrase in PHRASES:
        if match := phrase.pattern.search(words):
            check = "instructions_to_model" if phrase.is_blocking else "pushes_itself"
            detail = f"This {phrase.told}: {quoted(_around(words, match))}."
            yield found(check, text.where, detail, blocking=phrase.is_blocking)
    if text.role is not Role.NAME and (line := ROLE_LINE.search(text.text)):
        detail = f"This speaks as if it were a message of its own: {quoted(text.text[line.start() :].strip())}."
        yield found("instructions_to_model", text.where, detail)
    if match := SENSITIVE_FILE.search(words):
        yield found("sensitive_file", text.where, f"Names a file that holds secrets: {quoted(_around(words, match))}.")


def _around(words: str, match: re.Match[str]) -> str:
    begin, end = max(0, match.start() - 20), match.end() + 40
    return ("…" if begin else "") + words[begin:end].strip() + ("…" if end < len(words) else "")


def _encoded(text: Text) -> Iterator[Finding]:
    """Base64 that is text once decoded, or a run so long that nobody reads it."""
    for match in _BLOB.finditer(text.text):
        blob = match[0]
        if decoded := _decoded(blob):
            yield found("encoded_text", text.where, f"Holds encoded text, which reads {quoted(decoded)}.")
            return
        if len(blob) >= _LONG_BLOB and re.search(r"\d", blob) and re.search("[A-Z]", blob):
            yield found("encoded_text", text.where, f"Holds {len(blob)} characters that nobody can read.")
            return


def _decoded(blob: str) -> str:
    body = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return data.decode() if _PRINTABLE.match(data) and b" " in data else ""
