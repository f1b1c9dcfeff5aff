from tools.contract import Pass, Stage, Stop, ToolCall, deny


class KillSwitchGuard(Stage):
    """Nothing that this call touches is frozen."""

    name = "kill_switch"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.key and call.snapshot
        snapshot = call.snapshot
        if snapshot.frozen_everything is not None:
            return deny("frozen", f"Everything is frozen: {snapshot.frozen_everything}", call, frozen="everything")
        if (why := snapshot.frozen_agents.get(call.key.agent_id)) is not None:
            return deny("frozen", f"The agent is frozen: {why}", call, frozen="agent")
        # What a session only says is no call of a tool.
        if call.tool is not None and (why := snapshot.frozen_tools.get(call.tool.id)) is not None:
            return deny("frozen", f"The tool is frozen: {why}", call, frozen="tool")
        return Pass(call)
