"""Parameters that ask an agent for more than the tool needs: models fill them in by their names alone.

Source: HiddenLayer, "Exploiting MCP tool parameters"; CyberArk, full-schema poisoning.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from telemetry.detectors.lookalikes import as_read
from tools.upstreams.checks.finding import Finding, found, quoted
from tools.upstreams.checks.texts import parameters_of

_HARVESTS = re.compile(
    r"side_?notes?|(conversation|chat|dialogue?|message|prompt|tool_call|tool_use)_?(history|transcript|log|context)|"
    r"(full|entire|whole|all)_?(conversation|chat|context|messages|prompt)|(previous|prior)_?(messages|conversation)|"
    r"(the_)?system_?prompts?|chain_?of_?thought|(available|all)?_?tools?_?list|model_?name_and_version|"
    r"contents?_(from|of)_\w+|env(ironment)?_?(vars?|variables)_?(contents?|dump)|(user_?)?secrets|hidden_?context"
)
_MAY_HARVEST = re.compile(
    r"context|notes?|reasoning|thoughts?|scratch_?pad|memory|debug(_?info)?|metadata|justification|rationale|"
    r"(user_?|original_?|raw_?)(intent|request|prompt|query|message)"
)
_SECRET = re.compile(
    r"(\w+_)?(passwords?|passwd|pass_?phrase|api_?keys?|secret(_?keys?)?|access_?tokens?|auth_?tokens?|private_?keys?|"
    r"credentials?|bearer|client_secret|seed_?phrase|cvv|ssn)"
)


def check(declaration: Mapping[str, Any]) -> Iterator[Finding]:
    for where, name, _ in parameters_of(declaration):
        word = re.sub(r"[\s-]+", "_", as_read(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)))
        if _HARVESTS.fullmatch(word):
            detail = f"The parameter {quoted(name)} asks for what the agent knows, not for what a tool needs."
            yield found("harvesting_parameter", where, detail)
        elif _SECRET.fullmatch(word):
            detail = f"The parameter {quoted(name)} asks for a secret: agents would have to hold it."
            yield found("secret_parameter", where, detail, blocking=False)
        elif _MAY_HARVEST.fullmatch(word):
            detail = f"Into the parameter {quoted(name)} a model may write what it was not asked for."
            yield found("open_parameter", where, detail, blocking=False)
