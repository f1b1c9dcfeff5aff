"""A program under examples/ that can't go on ends with one sentence and exit code 1."""

import pytest
from mcp_observatory import NotAuthenticated, ToolResult

from observatory.demo import program, two_phase_scenario
from observatory.demo.invoking import AnsweredOtherwise
from observatory.demo.real_world_scenario import gate_of
from tests.serving import free_port


class Proposing:
    """A demonstration that answers every proposal with this status."""

    def __init__(self, status):
        self.status = status

    def __call__(self, *address):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def propose(self, tool, args, *, prompt):
        return ToolResult({"status": self.status, "signals": {}, "composite_score": 0.5})


def ended(run, capsys, *given):
    code = program.main("About it.\nMore.", run, given)
    said = capsys.readouterr()
    return code, said.out, said.err


def raising(error):
    def run(url, key, say):
        say("first")
        raise error

    return run


def test_what_is_shown_ends_with_0_and_no_word_on_stderr(capsys):
    asked = []
    assert ended(lambda *given: asked.append(given[:2]), capsys, "--url", "http://a", "--key", "k") == (0, "", "")
    assert asked == [("http://a", "k")]


def test_a_server_that_is_not_there_ends_with_a_sentence(capsys):
    url = f"http://127.0.0.1:{free_port()}"
    code, _, err = ended(two_phase_scenario.run, capsys, "--url", url)
    assert code == 1
    assert err.startswith(f"There is no demonstration at {url}; start it with make demo.")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (AnsweredOtherwise("it rained"), "The demonstration answered otherwise: it rained.\n"),
        (NotAuthenticated(401, "unauthenticated", "", "No."), "The demonstration refused: 401 unauthenticated: No.\n"),
    ],
)
def test_another_answer_ends_with_a_sentence(error, sentence, capsys):
    assert ended(raising(error), capsys) == (1, "first\n", sentence)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("blocked", "an approved prompt or changed integrity settings of transfer_funds may be the cause"),
        ("pending_approval", "a rule or the tool's settings ask for a person's approval"),
    ],
)
def test_a_proposal_that_is_not_allowed_says_what_may_be_the_cause(status, cause, monkeypatch, capsys):
    monkeypatch.setattr(two_phase_scenario, "ToolClient", Proposing(status))
    code, _, err = ended(two_phase_scenario.run, capsys)
    asked = f"“{two_phase_scenario.PLAIN}” was {status}, not allowed: {cause}."
    assert (code, err) == (1, f"The demonstration answered otherwise: {asked}\n")


def test_a_tool_that_the_key_does_not_see_is_named():
    assert gate_of({"send_it": "two_phase"}, "send_it") == "two_phase"
    with pytest.raises(AnsweredOtherwise, match="does not see send_it"):
        gate_of({}, "send_it")
