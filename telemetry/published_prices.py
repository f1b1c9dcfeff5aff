"""The table of published prices that comes with genai-prices, asked by name and not by resemblance.

That package finds the model that a name looks like, so that "my-gpt-4o-internal" is priced as gpt-4o. Here a model is
found by its id, by a name that the table gives it, or by one of those with a version behind it. The table is the
embedded one; its updater, which asks the network, is never started.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from decimal import Decimal
from typing import Any

from genai_prices import Usage, data_snapshot
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ModelInfo,
    Provider,
    TieredPrices,
)

# OpenTelemetry's names of providers, where the table has another.
_PROVIDERS = {
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "together_ai": "together",
}
# A date, a release of three digits and more, or a word for the newest. One digit is another model: gpt-4 and gpt-4.1.
_VERSION = r"(?:[-@:._](?:latest|preview|exp|beta|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{3,8}|v[0-9]+(?::[0-9]+)?))*"
_BEHIND_A_NAME = re.compile(_VERSION)
# Some names of the table end within a date: claude-sonnet-4-2025.
_BEHIND_A_YEAR = re.compile(r"(?:-?[0-9]{2}-?[0-9]{2})?" + _VERSION)
_ENDS_IN_A_YEAR = re.compile(r".*20[0-9]{2}")
_MOST_REMEMBERED = 4096
# Who makes models and sells them under names of their own.
MAKERS = frozenset(
    (
        *("anthropic", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshotai", "openai"),
        *("perplexity", "voyageai", "x-ai", "zai"),
    )
)
_MILLION = Decimal(1_000_000)


def cost_of(
    provider: str, model: str, prompt_tokens: int | None, completion_tokens: int | None, at: dt.datetime
) -> Decimal | None:
    """What the tokens cost in USD at list price, or None where the table does not say. Cached tokens count in full."""
    found = _found(provider.lower(), model.lower())
    if found is None:
        return None
    price = found[1].get_prices(at)
    if not _is_whole(price.input_mtok, prompt_tokens) or not _is_whole(price.output_mtok, completion_tokens):
        return None
    input_price, output_price = price.input_mtok or Decimal(0), price.output_mtok or Decimal(0)
    if isinstance(input_price, Decimal) and isinstance(output_price, Decimal) and price.requests_kcount is None:
        # What the package does in 70 microseconds, in one: most prices are two numbers.
        return (input_price * (prompt_tokens or 0) + output_price * (completion_tokens or 0)) / _MILLION
    usage = Usage(input_tokens=prompt_tokens or 0, output_tokens=completion_tokens or 0)
    return price.calc_price(usage)["total_price"]


def shown(provider: str, model: str, at: dt.datetime) -> str:
    """What the table says of a model, for a person; empty where it does not know it."""
    found = _found(provider.lower(), model.lower())
    return f"{found[0].name}, {found[1].id}: {found[1].get_prices(at)}" if found else ""


def in_and_out(provider: str, model: str, at: dt.datetime) -> tuple[Decimal | None, Decimal | None] | None:
    """USD per million tokens, what the first of them cost where it goes by tiers; None where nobody knows it."""
    found = _found(provider.lower(), model.lower())
    if found is None:
        return None
    price = found[1].get_prices(at)
    first_in, first_out = (
        each.base if isinstance(each, TieredPrices) else each for each in (price.input_mtok, price.output_mtok)
    )
    return first_in, first_out


@functools.lru_cache(maxsize=_MOST_REMEMBERED)
def maker_of(model: str) -> str:
    """The one maker that has a model of exactly this id; empty where none has, or several."""
    makers = {
        provider.id
        for provider in data_snapshot.get_snapshot().providers
        if provider.id in MAKERS and any(candidate.id == model for candidate in provider.models)
    }
    return makers.pop() if len(makers) == 1 else ""


def _is_whole(price: Any, tokens: int | None) -> bool:
    """What costs was counted, and what was counted has a price: else the sum would be of a part."""
    return tokens is not None if price else not tokens


@functools.lru_cache(maxsize=_MOST_REMEMBERED)
def _found(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    by_id = {one.id: one for one in data_snapshot.get_snapshot().providers}
    first = by_id.get(_PROVIDERS.get(provider, provider))
    if first is None or not model:
        return None
    # Some offer others' models at the others' prices; the table says which.
    offered = [first, *(by_id[name] for name in first.fallback_model_providers or () if name in by_id)]
    for versions in (False, True):
        for one in offered:
            for candidate in one.models:
                if candidate.id.lower() == model or _is_named(candidate.match, model, versions=versions):
                    return one, candidate
    return None


def _is_named(clause: Any, model: str, *, versions: bool) -> bool:
    """Whether the clause names the model: word for word, or with `versions` as a name with a version behind it."""
    match clause:
        case ClauseOr(or_=clauses):
            return any(_is_named(one, model, versions=versions) for one in clauses)
        case ClauseAnd(and_=clauses):
            return clause.is_match(model) and any(_is_named(one, model, versions=versions) for one in clauses)
        case ClauseEquals(equals=name):
            return name.lower() == model
        case ClauseRegex(regex=pattern):
            return pattern.startswith("^") and pattern.endswith("$") and clause.is_match(model)
        case ClauseStartsWith(starts_with=name) | ClauseContains(contains=name) | ClauseEndsWith(ends_with=name):
            return versions and _is_version_of(name.lower(), model)
    return False


def _is_version_of(name: str, model: str) -> bool:
    if not model.startswith(name):
        return False
    rest = model[len(name) :]
    if name[-1] in "-@:." and rest:
        rest = "-" + rest
    return bool((_BEHIND_A_YEAR if _ENDS_IN_A_YEAR.fullmatch(name) else _BEHIND_A_NAME).fullmatch(rest))
