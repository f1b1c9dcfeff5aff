"""Titles of reason codes and pages of revisions, for the pages of apps below that tell of decisions."""

from collections.abc import Iterable, Mapping

from django.urls import reverse

from telemetry.admin.decision_words import Revision, register_decision_words
from tools.models import PolicyRevision
from tools.reasons import REASONS


def _title(code: str) -> str:
    return REASONS[code].title if code in REASONS else ""


def _pages(revisions: Iterable[Revision]) -> Mapping[Revision, str]:
    wanted = set(revisions)
    rows = PolicyRevision.objects.filter(
        policy__name__in={name for name, _ in wanted}, number__in={number for _, number in wanted}
    ).values_list("policy__name", "number", "policy_id")
    return {
        (name, number): reverse("admin:tools_policy_revision", args=[policy_id, number])
        for name, number, policy_id in rows
        if (name, number) in wanted
    }


register_decision_words(_title, _pages)
