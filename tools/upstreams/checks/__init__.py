"""What is found in the declaration of an upstream's tool before an operator accepts it. Pure: no models, no I/O.

The upstream is not trusted and may be clever: a declaration without findings is not a safe one. What protects is that
nothing is callable until accepted, and that a change withdraws it again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tools.upstreams.checks import (
    advice,
    annotations,
    characters,
    instructions,
    parameters,
    schemas,
    shadowing,
)
from tools.upstreams.checks.finding import Finding, Known, found

__all__ = ["CHECKS", "MOST_FINDINGS", "NOT_CHECKED", "WORDS", "Finding", "Known", "findings_of"]

Check = Callable[[Mapping[str, Any]], Iterable[Finding]]
MOST_FINDINGS = 100
# In the order in which an operator reads them. Shadowing is apart: it needs to know what is there already.
CHECKS: tuple[Check, ...] = (
    characters.check,
    instructions.check,
    parameters.check,
    schemas.check,
    annotations.check,
    advice.check,
)
# Of a declaration that nobody had the time to read; it is read at the next look.
NOT_CHECKED = found("not_checked", "", "Too much changed at once to be checked; the next look goes on with it.")
# Every word that a finding may bear, and whether one of it blocks: yes, no, or by case. Frozen by a test.
WORDS: Mapping[str, str] = {
    "control_characters": "yes",
    "hidden_characters": "yes",
    "lookalike_letters": "yes",
    "instructions_to_model": "yes",
    "sensitive_file": "yes",
    "encoded_text": "yes",
    "harvesting_parameter": "yes",
    "names_other_tool": "yes",
    "same_name": "yes",
    "near_name": "by case",
    "fetching_schema": "yes",
    "unusable_schema": "yes",
    "deep_schema": "yes",
    "large_pattern": "yes",
    "too_many_findings": "yes",
    "not_checked": "yes",
    "pushes_itself": "no",
    "secret_parameter": "no",
    "open_parameter": "no",
    "hints_contradict": "no",
    "long_description": "no",
    "link": "no",
}


def findings_of(
    declaration: Mapping[str, Any], *, upstream: str, others: Mapping[str, Sequence[Known]]
) -> list[Finding]:
    """What is to be told of a declaration, blocking findings first, at most MOST_FINDINGS.

    `declaration`: name, title, description, input_schema, output_schema, annotations as the upstream sent them; their
    types are not relied on. `others`: the tools that are there already by upstream, those of this installation under
    "". Those under `upstream` itself are its siblings, of which it may speak.
    """
    findings = [finding for check in CHECKS for finding in check(declaration)]
    findings += shadowing.check(declaration, upstream, others)
    findings = sorted(dict.fromkeys(findings), key=lambda finding: not finding.blocking)
    if len(findings) > MOST_FINDINGS:
        detail = f"{len(findings)} findings, of which the first {MOST_FINDINGS - 1} are shown."
        return [*findings[: MOST_FINDINGS - 1], found("too_many_findings", "", detail)]
    return findings
