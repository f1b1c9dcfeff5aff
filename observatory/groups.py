"""The groups that come with the installation, and what each may do in admin."""

from django.contrib.auth.models import Group, Permission

OPERATORS, POLICY_EDITORS, AUDITORS = "operators", "policy editors", "auditors"

_SEE = [
    "tools.view_agent",
    "tools.view_agentkey",
    "tools.view_accesssubject",
    "tools.view_unmappedsubject",
    "tools.view_tool",
    "tools.view_toolversion",
    "tools.view_upstream",
    "tools.view_upstreamtool",
    "tools.view_policy",
    "tools.view_rule",
    "tools.view_rulecondition",
    "tools.view_policyexample",
    "tools.view_policyrevision",
    "tools.view_killswitch",
    "tools.view_idempotencyrecord",
    "approvals.view_pendingaction",
    "approvals.view_vote",
    "approvals.view_proposal",
    "approvals.view_commit",
    "approvals.view_integritysettings",
    "approvals.view_promptbaseline",
    "approvals.view_signingkey",
    "telemetry.view_span",
    "telemetry.view_alertrule",
    "telemetry.view_alertinstance",
    "telemetry.view_alerttransition",
    "telemetry.view_alertnotification",
    "telemetry.view_alertsilence",
    "telemetry.view_alertchannel",
    "telemetry.view_priceoverride",
    "telemetry.view_spanexport",
    "telemetry.view_session",
    "telemetry.view_step",
    "telemetry.view_guardrailsettings",
    "telemetry.view_remotedetector",
    "tools.explain_access",
]
_AUDIT = ["telemetry.view_auditevent", "telemetry.view_refusalcount", "telemetry.view_heartbeat"]
PERMISSIONS: dict[str, list[str]] = {
    OPERATORS: [
        *_SEE,
        *_AUDIT,
        *["approvals.decide_pendingaction", "approvals.resolve_pendingaction", "telemetry.view_payload"],
        *["tools.add_killswitch", "tools.release_killswitch", "tools.revoke_agentkey", "tools.unmap_accesssubject"],
        "tools.accept_upstreamtool",
        "approvals.rotate_signingkey",
        *["telemetry.add_alertsilence", "telemetry.change_alertsilence", "telemetry.test_alertchannel"],
        *["telemetry.stop_session", "telemetry.report_session"],
    ],
    POLICY_EDITORS: [
        *_SEE,
        *["tools.add_policy", "tools.change_policy", "tools.publish_policy"],
        *["tools.add_rule", "tools.change_rule", "tools.delete_rule"],
        *["tools.add_rulecondition", "tools.change_rulecondition", "tools.delete_rulecondition"],
        *["tools.add_policyexample", "tools.change_policyexample", "tools.delete_policyexample"],
        *[
            "tools.add_agent",
            "tools.change_agent",
            "tools.add_agentkey",
            "tools.change_agentkey",
            "tools.rotate_agentkey",
        ],
        *["tools.add_accesssubject", "tools.change_accesssubject", "tools.unmap_accesssubject"],
        *["tools.revoke_agentkey", "tools.add_tool", "tools.change_tool"],
        *["tools.add_upstream", "tools.change_upstream", "tools.accept_upstreamtool"],
        *["approvals.change_integritysettings", "approvals.add_promptbaseline", "approvals.rotate_signingkey"],
        *["telemetry.add_alertrule", "telemetry.change_alertrule"],
        *["telemetry.add_alertchannel", "telemetry.change_alertchannel", "telemetry.test_alertchannel"],
        *["telemetry.add_alertsilence", "telemetry.change_alertsilence"],
        *["telemetry.add_priceoverride", "telemetry.change_priceoverride", "telemetry.delete_priceoverride"],
        "telemetry.change_guardrailsettings",
        *["telemetry.add_remotedetector", "telemetry.change_remotedetector", "telemetry.delete_remotedetector"],
    ],
    AUDITORS: [*_SEE, *_AUDIT, "telemetry.report_session"],
}


def create_groups() -> None:
    """The three groups exist with at least these permissions; what an installation added stays.

    Raises KeyError for a word that no permission has.
    """
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    for name, words in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*(known[word] for word in words))
