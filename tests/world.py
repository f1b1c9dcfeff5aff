"""What tests are set up with: alice owns agents, bob approves, charlie looks on. Made by the product's own acts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from observatory.demo.models import Customer
from observatory.groups import OPERATORS
from telemetry.recorder import SYSTEM
from tests.beginnings import begin
from tools.actions.agents import issue_key, save_agent
from tools.actions.policies import publish
from tools.models import Agent, AgentKey, Policy, Rule, RuleCondition
from tools.scopes import Scope

SEED_TOOLS = ("search_customer", "create_ticket", "update_customer_status", "send_message", "get_incident_impact")


@dataclass
class Caller:
    """A client with a key."""

    key: AgentKey
    secret: str
    http: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(self, tool: str, arguments: Any = None, **headers: str) -> Any:
        return self.post(f"/tools/{tool}", arguments or {}, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.http.post(path, data, content_type="application/json", headers=self._headers(headers))

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(path, headers=self._headers(headers))

    def delete(self, path: str, **headers: str) -> Any:
        return self.http.delete(path, headers=self._headers(headers))

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"X-API-Key": self.secret} | {name.replace("_", "-"): value for name, value in more.items()}


class World:
    """People, tools, policies and keys, made as operators make them."""

    def __init__(self) -> None:
        begin()
        self.alice = self.person("alice", OPERATORS)
        self.bob = self.person("bob", OPERATORS)
        self.charlie = self.person("charlie")
        self.acme = Customer.objects.create(name="ACME AB")
        self.nordic = Customer.objects.create(name="Nordic Widgets")

    def person(self, name: str, *groups: str) -> Any:
        user = get_user_model().objects.create_user(name, f"{name}@example.com", "correct horse battery", is_staff=True)
        user.groups.set(Group.objects.filter(name__in=groups))
        return user

    def policy(self, name: str, *rules: dict[str, Any], **switches: bool) -> Policy:
        """A published policy; a rule is its fields, with `conditions` as (field, operator, value)."""
        policy = Policy.objects.create(name=name, **switches)
        self.add_rules(policy, *rules)
        publish(policy, SYSTEM)
        return policy

    def add_rules(self, policy: Policy, *rules: dict[str, Any]) -> None:
        for position, fields in enumerate(rules, start=policy.rules.count() + 1):
            conditions = fields.pop("conditions", ())
            groups = fields.pop("groups", ())
            rule = Rule.objects.create(policy=policy, position=position, **({"name": f"rule {position}"} | fields))
            rule.groups.set(Group.objects.filter(name__in=groups))
            for where, operator, value in conditions:
                RuleCondition.objects.create(rule=rule, field=where, operator=operator, value=value)

    def allowing(self, *tools: str, name: str = "allowlist", **switches: bool) -> Policy:
        return self.policy(name, {"tools": "\n".join(tools or SEED_TOOLS), "effect": "allow"}, **switches)

    def caller(self, policy: Policy | None, *, name: str = "billing-agent", owner: Any = None, **fields: Any) -> Caller:
        """An agent with a key under the policy; every scope and a wide rate unless given."""
        owner = owner or self.alice
        agent = Agent.objects.filter(name=name).first() or save_agent(Agent(name=name, owner=owner), SYSTEM)
        fields = {"scopes": Scope.values, "rate": "100000/m"} | fields
        key = AgentKey(agent=agent, owner=owner, policy=policy, **fields)
        return Caller(key, issue_key(key, SYSTEM).text)

    def two_phase(self, *tools: str, name: str = "two phases", waits: bool = False, **fields: Any) -> Policy:
        """A published policy under which these tools run by two phases; with `waits` a person must agree besides."""
        pattern = "\n".join(tools or ("create_ticket",))
        approval = [{"tools": pattern, "effect": "require_approval", **fields}] if waits else []
        return self.policy(
            name, {"tools": "*", "effect": "allow"}, {"tools": pattern, "effect": "require_two_phase"}, *approval
        )
