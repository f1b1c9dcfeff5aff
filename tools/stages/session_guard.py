from telemetry.guardrails import network_guess
from telemetry.models import Session
from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.in_session import begin, policy_of, session_of
from tools.session_policy import STEP_LIMIT, judge, looks_like_network, network_of


class SessionGuard(Stage):
    """The session, where one is named, is open and this key's, takes one more step, and lets this tool be called.

    From here on the call is a step of it, also where it is stopped.
    """

    name = "session_guard"

    def __init__(self, *, reported: bool = False) -> None:
        """`reported`: for sessions whose steps run elsewhere, and for no others."""
        self._reported = reported

    def check(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, begins=True)

    def explain(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, begins=False)

    def _ask(self, call: ToolCall, *, begins: bool) -> Pass | Stop:
        if call.session_id is None:
            return Pass(call, "no session")
        session = session_of(call)
        if call.permit is not None:
            return _permitted(session, call)
        if session is None:
            return deny("unknown_session", "There is no such session for this key.", call)
        if session.reported is not self._reported:
            where = "elsewhere; report what they came to" if session.reported else "here; nothing of it is reported"
            return deny("session_reported", f"The steps of this session run {where}.", call)
        if (not session.is_open and call.in_session.begun is None) or (begins and not begin(call, session)):
            return _over(session, call)
        if begins and policy_of(session).no_network and looks_like_network(call.tool_name, call.arguments):
            call.signals.append(network_guess(session.model, session.rules_hash))
        return _narrowed(session, call) or Pass(call, f"step {session.steps_begun} of {session.max_steps}")


def _permitted(session: Session | None, call: ToolCall) -> Pass | Stop:
    """What was approved runs once, also when its session has been closed; not where an operator stopped it."""
    if session is not None and session.status == Session.Status.STOPPED:
        return deny("session_closed", "An operator stopped the session of this call.", call)
    return Pass(call, "asked about when the call was made")


def _over(session: Session, call: ToolCall) -> Stop:
    """Why the session takes no step: it has ended, or has as many as it may."""
    session.refresh_from_db(fields=["status"])
    if session.is_open:
        return deny(*STEP_LIMIT, call)
    return deny("session_closed", f"The session is over: {session.get_status_display().lower()}.", call)


def _narrowed(session: Session, call: ToolCall) -> Stop | None:
    """What the session takes away from what the key may call; None where it is nothing of this."""
    tool = call.tool
    if tool is None:
        return None
    if session.upstream and (tool.upstream is None or tool.upstream.name != session.upstream):
        return deny("session_allowlist", f"The session is for tools of {session.upstream} only.", call)
    denial = judge(policy_of(session), tool.name, network_of({"network": tool.network}))
    return deny(*denial, call) if denial else None
