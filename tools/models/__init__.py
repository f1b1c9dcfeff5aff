from tools.models.access_subject import AccessSubject, UnmappedSubject
from tools.models.agent import Agent, AgentKey
from tools.models.idempotency import IdempotencyRecord
from tools.models.kill_switch import KillSwitch
from tools.models.policy import Policy, PolicyExample, PolicyRevision, Rule, RuleCondition
from tools.models.snapshot_version import SnapshotVersion
from tools.models.tool import HttpEndpoint, Tool, ToolVersion
from tools.models.upstream import Upstream, UpstreamCredential, UpstreamHealth, UpstreamTool

__all__ = (
    "AccessSubject",
    "Agent",
    "AgentKey",
    "HttpEndpoint",
    "IdempotencyRecord",
    "KillSwitch",
    "Policy",
    "PolicyExample",
    "PolicyRevision",
    "Rule",
    "RuleCondition",
    "SnapshotVersion",
    "Tool",
    "ToolVersion",
    "UnmappedSubject",
    "Upstream",
    "UpstreamCredential",
    "UpstreamHealth",
    "UpstreamTool",
)
