"""Every type of audit event: registered once, frozen by a test. A word is never reused for another fact."""

EVENT_TYPES = {
    # calls
    "call.answered": "A read-only call ran and was answered.",
    "call.intended": "A call with side effects is about to run; written before it runs.",
    "call.settled": "A call with side effects ended; the outcome is recorded.",
    "call.denied": "A stage stopped a call.",
    "call.held": "A call waits for a person's decision.",
    "call.proposed": "An intent was scored and recorded as a proposal; nothing ran.",
    "call.replayed": "The stored answer of an earlier call was given again.",
    "call.simulated": "A dry run was answered; nothing ran.",
    # agents and keys
    "agent.created": "An agent was made known.",
    "agent.changed": "An agent's particulars changed.",
    "key.created": "A key was issued; its secret was shown once.",
    "key.changed": "A key's scopes, policy, rate or expiry changed.",
    "key.rotated": "A key was replaced; the old one works until its grace ends.",
    "key.refused": "A key was refused at a door: it lacks a scope, or its owner may not decide.",
    "key.revoked": "A key works no more.",
    # tools
    "tool.registered": "A tool became known.",
    "tool.changed": "A tool's settings changed.",
    "tool.version": "A tool's schema or description changed: a new version.",
    "tool.withdrawn": "A tool's code is gone; it can't be called.",
    # policies
    "policy.created": "A policy was made.",
    "policy.drafted": "A policy's draft changed.",
    "policy.published": "A draft became a revision in force.",
    "policy.rolled_back": "An earlier revision was published again.",
    "policy.publish_refused": "A draft failed its own examples or did not compile; nothing changed.",
    # switches
    "switch.engaged": "An operator froze an agent, a tool or everything.",
    "switch.released": "An operator lifted a freeze.",
    # pending actions
    "action.requested": "A pending action came to be.",
    "action.blocked": "A proposal's score blocked it; it will never run.",
    "action.pending": "A proposal waits for a person's decision.",
    "action.voted": "An operator voted; the quorum is not reached yet.",
    "action.approved": "Enough operators agreed.",
    "action.rejected": "An operator said no.",
    "action.cancelled": "The agent took its request back.",
    "action.expired": "Nobody decided in time.",
    "action.revoked": "What was approved may not run any more; the reason says why.",
    "action.executing": "An approved action was burnt and is about to run.",
    "action.done": "An approved action ran; or was cut off, and an operator settled that it ran.",
    "action.failed": "An approved action definitely did not happen; or was cut off, and an operator settled so.",
    "action.unknown": "An approved action was cut off; whether it ran is not known.",
    "action.retried": "A cut-off run of an idempotent tool was taken over and runs again under the next fence.",
    "action.noticed": "People who may decide were told of a pending action.",
    # proposals and commits
    "token.issued": "A commit token was given to the agent of a proposal.",
    "commit.refused": "A commit with a genuine token was refused; nothing ran.",
    "baseline.approved": "An operator approved a prompt as a tool's baseline.",
    "baseline.retired": "A tool's baseline is in force no more.",
    "integrity.changed": "How proposals of a tool are scored changed.",
    "signing_key.created": "A signing key joined the ring and signs from now on.",
    "signing_key.retired": "A signing key signs no more; its tokens are still honoured.",
    "signing_key.revoked": "A signing key's tokens are honoured no more.",
    # people
    "person.changed": "An account was added or changed: its groups, permissions or state.",
    "group.changed": "A group was added or its permissions changed.",
    # reading what is protected
    "payload.read": "Somebody read full bytes.",
    "access.explained": "Somebody asked what a call would be answered.",
}
