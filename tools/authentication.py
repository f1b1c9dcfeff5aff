"""Who holds this credential. One answer for missing, malformed, unknown, expired and revoked."""

import datetime as dt
import hmac

from tools.credentials import digest_of, well_formed
from tools.snapshot import KeyView, Snapshot


def key_for(credential: str | None, snapshot: Snapshot, now: dt.datetime) -> KeyView | None:
    """The key that this credential proves, or None, for whichever reason."""
    if not credential or len(credential) > 200 or not well_formed(credential):
        return None
    digest = digest_of(credential)
    key = snapshot.keys.get(digest)
    if key is None or not hmac.compare_digest(key.digest, digest) or not key.usable(now):
        return None
    return key
