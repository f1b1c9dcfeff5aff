from dataclasses import replace

from tools.authentication import proven
from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.scopes import Scope
from tools.snapshot import current


class Authenticate(Stage):
    """The call has a key that may call tools."""

    name = "authenticate"

    def check(self, call: ToolCall) -> Pass | Stop:
        snapshot = current()
        if call.identified_as:
            known = snapshot.keys_by_public_id.get(call.identified_as)
            if known is None or not known.usable(call.received_at):
                return deny("key_revoked", "The key that asked is revoked or expired.", call)
            key = known
        else:
            found = proven(call.credential, snapshot, call.received_at)
            if isinstance(found, Stop):
                return replace(found, call=call)
            key = found
        call = call.with_(snapshot=snapshot, key=key)
        if Scope.TOOLS_CALL not in key.scopes:
            return deny("scope_missing", "This needs the scope tools:call.", call, scope=Scope.TOOLS_CALL.value)
        return Pass(call, f"key {key.public_id} of {key.agent_name}")
