from tools.authentication import key_for
from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.scopes import Scope
from tools.snapshot import current


class Authenticate(Stage):
    """The call has a key that may call tools."""

    name = "authenticate"

    def check(self, call: ToolCall) -> Pass | Stop:
        snapshot = current()
        if call.identified_as:
            key = snapshot.keys_by_public_id.get(call.identified_as)
            if key is None or not key.usable(call.received_at):
                return deny("key_revoked", "The key that asked is revoked or expired.", call)
        else:
            key = key_for(call.credential, snapshot, call.received_at)
            if key is None:
                return deny("unauthenticated", call=call)
        found = call.with_(snapshot=snapshot, key=key)
        if Scope.TOOLS_CALL not in key.scopes:
            return deny("scope_missing", "This needs the scope tools:call.", found, scope=Scope.TOOLS_CALL.value)
        return Pass(found, f"key {key.public_id} of {key.agent_name}")
