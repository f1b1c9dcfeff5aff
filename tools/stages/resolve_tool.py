from telemetry.canonical import canonical_bytes, digest
from tools.arguments import split_confirm
from tools.contract import Pass, Stage, Stop, ToolCall, deny


class ResolveTool(Stage):
    """The tool exists, is as it was accepted, and this key may see it; the arguments are bytes from here on.

    `confirm` is the door's flag where the tool declares it: it is taken out before the bytes are made.
    """

    name = "resolve_tool"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.key and call.snapshot
        tool = call.snapshot.tools.get(call.tool_name)
        if tool is None or not call.snapshot.visible(call.key, tool).visible:
            return deny("unknown_tool", f"There is no tool {call.tool_name[:64]!r} for this key.", call)
        if not tool.is_accepted:
            return deny("tool_quarantined", f"An operator must look at {tool.name} first.", call.with_(tool=tool))
        arguments, confirm = split_confirm(tool, call.arguments)
        canonical = canonical_bytes(arguments)
        return Pass(
            call.with_(
                tool=tool,
                arguments=arguments,
                confirm=call.confirm if confirm is None else confirm,
                canonical=canonical,
                digest=digest(canonical),
            ),
            f"{tool.name} v{tool.version}",
        )

    def explain(self, call: ToolCall) -> Pass | Stop:
        """Says besides why the tool is invisible; whoever asks decides who may read that."""
        answer = self.check(call)
        if isinstance(answer, Pass):
            return answer
        assert call.key and call.snapshot
        tool = call.snapshot.tools.get(call.tool_name)
        why = call.snapshot.visible(call.key, tool).why if tool else "No tool has this name."
        return deny("unknown_tool", answer.detail, call, invisible_because=why)
