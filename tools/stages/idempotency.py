from tools import idempotency
from tools.contract import Pass, Stage, Stop, ToolCall, deny


class Idempotency(Stage):
    """This intention was not carried out before. The claim itself is written with what runs."""

    name = "idempotency"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.tool
        if call.permit is not None:
            return Pass(call, "owns the record of its call")
        if call.idempotency_key is None:
            if call.tool.requires_idempotency_key and call.intent is None:
                return deny("idempotency_key_missing", "Send an Idempotency-Key header.", call)
            return Pass(call, "no key")
        problem = idempotency.key_problem(call.idempotency_key)
        if problem:
            return deny("invalid_parameter", problem, call)
        if not idempotency.applies(call):
            return Pass(call, "reads only")
        return idempotency.look_up(call, call.received_at) or Pass(call, "first use")

    def explain(self, call: ToolCall) -> Pass | Stop:
        """A question carries no key; that a call would need one is said, and the next stage is asked."""
        if call.tool and call.tool.requires_idempotency_key and call.idempotency_key is None:
            return Pass(call, "a call needs an Idempotency-Key")
        return self.check(call)
