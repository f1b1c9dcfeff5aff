from tools.contract import Pass, Stage, Stop, ToolCall, deny


class SessionGuard(Stage):
    """The session, where one is named, is open and this key's. No session can be opened yet, so none is known."""

    name = "session_guard"

    def check(self, call: ToolCall) -> Pass | Stop:
        if call.session_id is not None:
            return deny("unknown_session", "There is no such session for this key.", call)
        return Pass(call, "no session")
