"""The SDK may not import the server, but must know of each failure whether the tool may have run."""

from mcp_observatory.problems import CONCLUSIVE, MAY_HAVE_RUN, NOTHING_RAN

from tools.reasons import REASONS


def test_every_failure_of_the_server_is_one_that_the_sdk_can_judge():
    failures = {code for code, reason in REASONS.items() if reason.status >= 500} - {"internal_error"}
    assert failures <= MAY_HAVE_RUN | NOTHING_RAN | CONCLUSIVE


def test_what_the_sdk_believes_is_what_the_server_means():
    for code in NOTHING_RAN:
        assert "nothing ran" in REASONS[code].meaning.lower() or REASONS[code].status in (429, 503), code
