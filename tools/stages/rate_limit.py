from collections.abc import Callable

from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.rates import RateStoreUnavailableError, Usage, consume, peek


def limited(usage: Usage, what: str, call: ToolCall) -> Stop:
    return deny("rate_limited", f"{what}: {usage.limit} are used up.", call, retry_after_s=usage.retry_after_s)


class RateLimit(Stage):
    """The key has calls left, and so has the key for this tool. Where rates can't be counted, nothing passes."""

    name = "rate_limit"

    def check(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, consume)

    def explain(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, peek)

    def _ask(self, call: ToolCall, ask: Callable[[str, str], Usage]) -> Pass | Stop:
        assert call.key and call.snapshot
        tool = call.snapshot.tools.get(call.tool_name)
        if tool is not None and not call.snapshot.visible(call.key, tool).visible:
            tool = None  # its rate would tell that it is there
        try:
            usage = ask(f"key:{call.key.public_id}", call.key.rate)
            if not usage.allowed:
                return limited(usage, "The key's rate", call)
            if tool is not None and tool.rate:
                usage = ask(f"key:{call.key.public_id}:tool:{tool.name}", tool.rate)
                if not usage.allowed:
                    return limited(usage, "The tool's rate for this key", call)
        except RateStoreUnavailableError:
            return deny("rate_store_unavailable", call=call)
        return Pass(call, f"{usage.count} of {usage.limit}")
