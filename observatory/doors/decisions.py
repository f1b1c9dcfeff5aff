"""`POST /decisions`: what a call would be answered, and why. Nothing runs, nothing is counted."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.body import json_object
from observatory.doors.key_authentication import caller_of, snapshot_of
from observatory.doors.problem import Refusal
from observatory.explanation import Explanation, explain
from telemetry.recorder import Subject, record_event
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot

MAY_EXPLAIN = "tools.explain_access"


class DecisionsView(APIView):
    scope = Scope.DECISIONS_READ

    @openapi.decisions
    def post(self, request: Request) -> Response:
        body = json_object(request)
        tool, args, agent = body.get("tool"), body.get("args", {}), body.get("agent", "")
        if not isinstance(tool, str) or not isinstance(args, dict) or not isinstance(agent, str):
            raise Refusal("invalid_parameter", 'Send {"tool": "...", "args": {...}}.')
        asker = caller_of(request)
        is_operator = _is_operator(asker)
        subject = _key_of(snapshot_of(request), asker, agent, is_operator)
        answer = explain(subject, tool, args, timezone.now())
        with transaction.atomic():
            record_event(
                "access.explained",
                asker.actor,
                Subject("agent_key", str(subject.id), f"{subject.agent_name} {subject.public_id}"),
                data={"tool": tool[:64], "verdict": answer.verdict},
            )
        return Response(rendered(answer, operator=is_operator))


def _is_operator(key: KeyView) -> bool:
    """The key's owner is a person who may ask about any agent."""
    user = get_user_model().objects.filter(pk=key.owner_id, is_active=True, is_staff=True).first()
    return user is not None and user.has_perm(MAY_EXPLAIN)


def _key_of(snapshot: Snapshot, asker: KeyView, agent: str, is_operator: bool) -> KeyView:
    """The asker's own key, or for operators the newest key of another agent."""
    if not agent or agent == asker.agent_name:
        return asker
    keys = [key for key in snapshot.keys.values() if key.agent_name == agent]
    if not is_operator or not keys:
        raise Refusal("not_found", "There is no such agent that this key may ask about.")
    return max(keys, key=lambda key: key.id)


def rendered(answer: Explanation, *, operator: bool) -> dict[str, Any]:
    """Shape: verdict, code, detail, policy, revision, rule, stages. Only operators read why a tool is invisible."""
    stages = []
    for stage in answer.stages:
        facts = {k: v for k, v in stage.facts.items() if operator or k != "invisible_because"}
        stages.append(
            {"stage": stage.stage, "verdict": stage.verdict, "code": stage.code, "detail": stage.detail, "facts": facts}
        )
    hidden = answer.code == "unknown_tool" and not operator
    body: dict[str, Any] = {
        "verdict": answer.verdict,
        "code": answer.code,
        "detail": answer.detail,
        "policy": answer.policy,
        "revision": answer.revision,
        "rule": answer.rule,
        "stages": stages,
    }
    if operator and not hidden:
        body["rules"] = [asdict(rule) for rule in answer.rules]
    return body
