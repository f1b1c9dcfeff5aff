"""Who holds this credential: an agent's key, or an access token of the configured issuer that acts as one.

One answer for every credential that proves nothing: missing, malformed, unknown, expired, revoked, forged, for others.
"""

import datetime as dt
import hmac
import logging
from typing import Any

from tools.access_tokens import Invalid, IssuerUnavailableError, has_token_form, trusted, verify
from tools.contract import Stop, Verdict
from tools.credentials import digest_of, well_formed
from tools.snapshot import KeyView, Snapshot
from tools.subjects import acting_as

log = logging.getLogger(__name__)
LONGEST_KEY = 200
RETRY_AFTER_S = 5


def key_for(credential: str | None, snapshot: Snapshot, now: dt.datetime) -> KeyView | None:
    """The key that this credential proves, or None, for whichever reason."""
    found = proven(credential, snapshot, now)
    return found if isinstance(found, KeyView) else None


def proven(credential: str | None, snapshot: Snapshot, now: dt.datetime) -> KeyView | Stop:
    """The key that this credential proves, or why it proves none that may act."""
    if not credential:
        return _unproven("unauthenticated")
    if len(credential) <= LONGEST_KEY and well_formed(credential):
        return _by_key(credential, snapshot, now)
    if has_token_form(credential):
        return _by_token(credential, snapshot, now)
    return _unproven("unauthenticated")


def _unproven(code: str, detail: str = "", **facts: Any) -> Stop:
    return Stop(Verdict.DENY, code, detail, facts, is_unproven=True)


def _by_key(credential: str, snapshot: Snapshot, now: dt.datetime) -> KeyView | Stop:
    digest = digest_of(credential)
    key = snapshot.keys.get(digest)
    if key is None or not hmac.compare_digest(key.digest, digest) or not key.usable(now):
        return _unproven("unauthenticated")
    return key


def _by_token(token: str, snapshot: Snapshot, now: dt.datetime) -> KeyView | Stop:
    issuer = trusted()
    if issuer is None:
        return _unproven("unauthenticated")
    try:
        identity = verify(token, issuer, now)
    except IssuerUnavailableError:
        return _unproven(
            "part_unavailable",
            "The authorization server's keys can't be had now, so no access token can be checked.",
            retry_after_s=RETRY_AFTER_S,
        )
    if isinstance(identity, Invalid):
        if identity.is_signed:
            # Whoever set the issuer up needs the cause; nobody but the issuer can make such lines.
            log.info("an access token of the issuer was refused: %s", identity.why)
        return _unproven("unauthenticated")
    key = acting_as(identity, snapshot, now)
    return key or _unproven("subject_not_mapped")
