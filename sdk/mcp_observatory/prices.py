"""What a model call cost, by the table that comes with genai-prices (extra `prices`): no guess, and no network."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from mcp_observatory.trace_context import TraceContext
from mcp_observatory.usage import Usage

# Above this a figure is a mistake, and the observatory takes none.
MOST_USD = 10_000
# An operator's own: the cost of a finished call in USD, or None where it is not known.
Price = Callable[[TraceContext], Decimal | float | None]

# Who makes models and sells them under names of their own. A model that is exactly one of those needs no provider.
MAKERS = frozenset(
    [
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "meta",
        "minimax",
        "mistral",
        "moonshotai",
        "openai",
        "perplexity",
        "voyageai",
        "x-ai",
        "zai",
    ]
)
# Names of OpenTelemetry's GenAI conventions for providers that the table names otherwise.
_TABLE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "aws.bedrock": "aws",
        "azure.ai.inference": "azure",
        "azure.ai.openai": "azure",
        "gcp.gemini": "google",
        "gcp.gen_ai": "google",
        "gcp.vertex_ai": "google",
        "mistral_ai": "mistral",
        "moonshot_ai": "moonshotai",
        "x_ai": "x-ai",
    }
)
# What may follow a model's name and leave it the same model: a date, a release, a channel. One digit is another model.
_VERSION = re.compile(r"(?:[-@:.](?:\d{4}-\d{2}-\d{2}|\d{3,8}|v\d+|latest|preview|exp))+$")
_MOST_REMEMBERED = 1_000
_MILLION = Decimal(1_000_000)


class PriceTable:
    """The table as it was when genai-prices was released; its updater is never started."""

    def __init__(self) -> None:
        self._installed = find_spec("genai_prices") is not None
        self._genai: Any = None
        self._providers: Any = None
        self._maker_of: dict[str, str] = {}
        self._remembered: dict[tuple[str, str | None], tuple[Any, Any] | None] = {}

    @property
    def is_ready(self) -> bool:
        return self._genai is not None or not self._installed

    def prepare(self) -> None:
        """The table is in memory. Takes up to a second, once."""
        if self.is_ready:
            return
        genai = import_module("genai_prices")
        self._providers = {provider.id: provider for provider in genai.data_snapshot.get_snapshot().providers}
        self._maker_of = _makers(self._providers)
        self._genai = genai

    def cost(self, model: str, provider: str | None, usage: Usage, at: datetime) -> Decimal | None:
        """The cost in USD; None for a model, a provider or a number of tokens that is not known."""
        self.prepare()
        if self._genai is None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        try:
            found = self._found(model, provider)
            return None if found is None else self._price(*found, usage, at)
        except (LookupError, ValueError):
            return None

    def _found(self, model: str, provider: str | None) -> tuple[Any, Any] | None:
        """The provider and the model of the table, remembered."""
        if (model, provider) not in self._remembered:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[model, provider] = self._looked_up(model, provider)
        return self._remembered[model, provider]

    def _looked_up(self, model: str, provider: str | None) -> tuple[Any, Any] | None:
        seller = self._seller(model, provider)
        if seller is None:
            return None
        found = self._providers[seller].find_model(model, all_providers=list(self._providers.values()))
        # The table matches by resemblance: a maker's model with words of somebody else's in its name is not theirs.
        if found is None or (seller in MAKERS and found.id != model and not _is_version_of(model, found.id)):
            return None
        return self._providers[seller], found

    def _price(self, provider: Any, model: Any, usage: Usage, at: datetime) -> Decimal:
        price = model.get_prices(at)
        of_input, of_output = price.input_mtok, price.output_mtok
        is_plain = isinstance(of_input, Decimal) and isinstance(of_output, Decimal) and price.requests_kcount is None
        if is_plain and not usage.cache_read_tokens and not usage.cache_write_tokens:
            # What genai-prices does in 70 microseconds, in one: most prices are two numbers.
            plain: Decimal = (
                of_input * (usage.prompt_tokens or 0) + of_output * (usage.completion_tokens or 0)
            ) / _MILLION
            return plain
        tokens = self._genai.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cache_read_tokens or None,
            cache_write_tokens=usage.cache_write_tokens or None,
        )
        whole: Decimal = model.calc_price(tokens, provider, genai_request_timestamp=at).total_price
        return whole

    def _seller(self, model: str, provider: str | None) -> str | None:
        """The provider's id in the table. Exactly so: the table would take "my-openai-proxy" for OpenAI."""
        if not provider:
            return self._maker_of.get(model)
        name = provider.strip().lower()
        name = _TABLE_NAMES.get(name, name)
        return name if name in self._providers else None


def _makers(providers: Mapping[str, Any]) -> dict[str, str]:
    """The maker of each model id that only one maker has."""
    sellers: dict[str, set[str]] = {}
    for maker in MAKERS & providers.keys():
        for model in providers[maker].models:
            sellers.setdefault(model.id, set()).add(maker)
    return {model: next(iter(makers)) for model, makers in sellers.items() if len(makers) == 1}


def _is_version_of(model: str, listed: str) -> bool:
    return _VERSION.sub("", model.lower()) == _VERSION.sub("", listed.lower())


def as_cost(value: object) -> Decimal | None:
    """An operator's figure as an amount; None where it is not one."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        return None
    amount = Decimal(str(value))
    return amount if amount.is_finite() and 0 <= amount <= MOST_USD else None
