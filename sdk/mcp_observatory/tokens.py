"""How many tokens a text has, where no provider said so. Nothing here ever asks the network."""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from mcp_observatory.trace_context import TokenSource

# tiktoken downloads an encoding it does not find on disk, and one whose bytes are not these: it is asked only for
# what lies there, as it wants it. Source: tiktoken_ext/openai_public.py; a test compares.
PUBLISHED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cl100k_base": (
            "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken",
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        ),
        "o200k_base": (
            "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken",
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        ),
    }
)
# Over this an exact count would take longer than telemetry may.
LONGEST_COUNTED_CHARACTERS = 200_000
_BYTES_A_TOKEN = 4


class Encoding(Protocol):
    def encode_ordinary(self, text: str) -> list[int]: ...


class TokenCounter:
    """Counts by tiktoken where that is installed and its encoding lies in TIKTOKEN_CACHE_DIR; else bytes / 4."""

    def __init__(self) -> None:
        self._installed = bool(os.environ.get("TIKTOKEN_CACHE_DIR")) and find_spec("tiktoken") is not None
        self._encodings: dict[str, Encoding | None] = {}

    def prepare(self, model: str) -> None:
        """The model's encoding is in memory, where there is one. Takes up to a second, once an encoding."""
        self._encoding(model)

    def is_ready(self, model: str) -> bool:
        return not self._installed or model in self._encodings

    def count(self, content: Any, model: str) -> tuple[int | None, TokenSource]:
        """The tokens, and how they were found; no number for what has no text."""
        text = as_text(content)
        if text is None:
            return None, "estimate"
        encoding = self._encoding(model) if len(text) <= LONGEST_COUNTED_CHARACTERS else None
        if encoding is None:
            return estimate(text), "estimate"
        return len(encoding.encode_ordinary(text)), "tiktoken"

    def _encoding(self, model: str) -> Encoding | None:
        if not self._installed:
            return None
        if model not in self._encodings:
            # Whoever names thousands of models gets estimates for the later ones.
            if len(self._encodings) >= 1_000:
                return None
            self._encodings[model] = _encoding_on_disk(model)
        return self._encodings[model]


def estimate(text: str) -> int:
    """A quarter of the UTF-8 bytes, rounded up: wrong by a fourth on the average, sometimes by two thirds."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_A_TOKEN)


def as_text(content: Any) -> str | None:
    """What is to be counted of a prompt or an answer: a text itself, of messages their JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    if not isinstance(content, Mapping | list | tuple):
        return None
    try:
        return json.dumps(content, ensure_ascii=False, default=str)
    except Exception:
        # Cycles, keys that are no text, somebody's __str__: not counted.
        return None


def _encoding_on_disk(model: str) -> Encoding | None:
    tiktoken = import_module("tiktoken")
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    if name not in PUBLISHED or not _lies_there(*PUBLISHED[name]):
        return None
    encoding: Encoding = tiktoken.get_encoding(name)
    return encoding


def _lies_there(url: str, sha256: str) -> bool:
    """The file is where tiktoken looks for it, and whole. Source: tiktoken/load.py, read_file_cached."""
    name = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    try:
        data = (Path(os.environ["TIKTOKEN_CACHE_DIR"]) / name).read_bytes()
    except (KeyError, OSError):
        return False
    return hashlib.sha256(data).hexdigest() == sha256
