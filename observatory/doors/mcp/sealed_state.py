"""The `requestState` of a question put to an agent's own user: sealed, so that its client can only send it back.

Under a key that every process derives, with the package's own codec (AES-256-GCM). What it binds is compared when it
comes back. It is not what prevents a second use: that is the pending action's one transition from pending.
"""

import functools
import json
import uuid
from dataclasses import asdict, dataclass

from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState

from telemetry.canonical import canonical_bytes
from telemetry.derivation import all_keys

PURPOSE = "mcp/request-state"


@dataclass(frozen=True, slots=True)
class Question:
    """Which action was asked about, of whose call, and until when (epoch seconds)."""

    action_id: str
    key: str
    tool: str
    args_sha256: str
    expires_at: int


def sealed(question: Question) -> str:
    return _codec(_keys()).seal(canonical_bytes(asdict(question)))


def opened(state: str) -> Question | None:
    """The question as it was sealed here; None for whatever else was sent."""
    try:
        found = Question(**json.loads(_codec(_keys()).unseal(state)))
        uuid.UUID(found.action_id)
    except (InvalidRequestState, ValueError, TypeError):
        return None
    return found


def _keys() -> tuple[bytes, ...]:
    """The active key first; each once."""
    return tuple(dict.fromkeys(derived.key for derived in all_keys(PURPOSE)))


@functools.lru_cache(maxsize=8)
def _codec(keys: tuple[bytes, ...]) -> AESGCMRequestStateCodec:
    return AESGCMRequestStateCodec(keys)
