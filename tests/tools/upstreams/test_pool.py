"""The pool against real servers, by every transport and in both eras."""

import pytest

from tests.tools.upstreams.conftest import KINDS

every_kind = pytest.mark.parametrize("upstream", KINDS, indirect=True)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@every_kind
def test_what_is_sent_and_what_comes_back(pool, upstream):
    offer = pool.offer(upstream.target)
    assert (offer.server_name, offer.server_version) == ("tested", "7")
    assert offer.protocol_version == ("2025-11-25" if upstream.kind == "sse" else "2026-07-28")
    assert offer.tools[0] == {"name": "echo", "description": "Does echo.", "inputSchema": {"type": "object"}}
    meta = {"traceparent": TRACE, "baggage": "secret=1", "org.example/x": [1, None]}
    answer = pool.call(upstream.target, "echo", {"a": None, "å": [1.5]}, timeout_s=10, meta=meta)
    assert (list(answer.content), answer.is_error) == ([{"type": "text", "text": "echo"}], False)
    assert answer.structured["arguments"] == {"a": None, "å": [1.5]}
    said = answer.structured["meta"]
    assert (said["traceparent"], said["org.example/x"], "baggage" in said) == (TRACE, [1, None], False)
    assert answer.structured["capabilities"] == {}
