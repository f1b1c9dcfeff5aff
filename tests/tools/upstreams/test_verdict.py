"""What is said of a call that got no answer, by what was seen of it. In doubt it may have run."""

import mcp_types as types
import pytest

from tools.upstreams.answers import OutcomeUnknown, Refused, Unreachable
from tools.upstreams.exchange import Exchange, Why
from tools.upstreams.verdict import SessionLost, of_error

CLOSED, INTERNAL, NO_SUCH_TOOL = -32000, -32603, -32602


@pytest.mark.parametrize(
    ("written", "code", "ended", "seen", "verdict"),
    [
        (False, CLOSED, Why.BROKEN, None, Unreachable),
        (False, CLOSED, None, None, Unreachable),
        (True, CLOSED, Why.BROKEN, None, OutcomeUnknown),
        (True, CLOSED, Why.INVALID, None, OutcomeUnknown),
        (True, INTERNAL, None, None, OutcomeUnknown),
        (True, NO_SUCH_TOOL, None, None, Refused),
        # The connection ended: the error is the package's word for that, whatever its code.
        (True, NO_SUCH_TOOL, Why.BROKEN, None, OutcomeUnknown),
        # What a transport saw is worth more than the code that came of it.
        (True, NO_SUCH_TOOL, None, Why.INVALID, OutcomeUnknown),
        (True, INTERNAL, None, Why.TURNED_AWAY, Unreachable),
        (True, INTERNAL, None, Why.NOT_CONNECTED, Unreachable),
        (True, INTERNAL, None, Why.SESSION_LOST, SessionLost),
    ],
)
def test_each_way_to_get_no_answer_has_its_meaning(written, code, ended, seen, verdict):
    exchange = Exchange(deadline=0, written=written)
    if seen is not None:
        exchange.fail(seen, "seen")
        exchange.fail(Why.BROKEN, "the first is the one")
    found = of_error(exchange, types.ErrorData(code=code, message="no"), ended)
    assert type(found) is verdict
    if isinstance(found, OutcomeUnknown):
        assert found.why == (seen or ended or Why.BROKEN)
