"""Tokens as reported, else counted on this machine; prices by the exact name, else none."""

import asyncio
import base64
import hashlib
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import genai_prices
import pytest
import tiktoken
import tiktoken.load
import tiktoken.registry
import tiktoken_ext.openai_public
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st
from mcp_observatory import TraceContext, instrument, tokens
from mcp_observatory.exporters import MemoryExporter
from mcp_observatory.prices import PriceTable
from mcp_observatory.tokens import PUBLISHED, TokenCounter, estimate
from mcp_observatory.usage import Usage, answer_text, reported_usage

AT = datetime(2026, 11, 1, tzinfo=UTC)
CHAT = {"usage": {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}}
RESPONSES = {"usage": {"input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 60}}}
MESSAGES = {
    "usage": {
        "input_tokens": 30,
        "output_tokens": 7,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
    }
}


def as_object(value: Any) -> Any:
    return SimpleNamespace(**{n: as_object(v) for n, v in value.items()}) if isinstance(value, dict) else value


def recorded(*, response: Any = None, **facts: Any) -> TraceContext:
    memory = MemoryExporter()
    asyncio.run(instrument("s", memory).intercept_model_call("gpt-4o", "12345678", response=response, **facts))
    return memory.spans[0]


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize(
    ("response", "usage"),
    [(CHAT, Usage(100, 7, 60)), (RESPONSES, Usage(100, 7, 60)), (MESSAGES, Usage(100, 7, 60, 10))],
)
def test_usage_is_read_in_every_form(response: dict[str, Any], usage: Usage, form: Any) -> None:
    assert reported_usage(form(response)) == usage
    assert reported_usage(form(response["usage"])) == usage


class Hostile:
    @property
    def usage(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "response",
    [
        None,
        "usage",
        7,
        [],
        {},
        {"usage": None},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": True, "completion_tokens": 1.5}},
        {"usage": {"input_tokens": 10**30}},
        Hostile(),
    ],
)
def test_nothing_is_read_where_no_usage_is(response: Any) -> None:
    assert reported_usage(response) is None


def test_reported_tokens_come_first() -> None:
    span = recorded(response=CHAT)
    assert (span.prompt_tokens, span.completion_tokens, span.token_source) == (100, 7, "reported")
    span = recorded(response="text", usage=MESSAGES["usage"])
    assert (span.prompt_tokens, span.completion_tokens, span.token_source) == (100, 7, "reported")
    assert span.attributes == {
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    span = recorded(response=CHAT, prompt_tokens=1, completion_tokens=2)
    assert (span.prompt_tokens, span.completion_tokens, span.token_source) == (1, 2, "reported")


def test_source_is_the_weaker_of_two() -> None:
    span = recorded(response="four", prompt_tokens=5)
    assert (span.prompt_tokens, span.completion_tokens, span.token_source) == (5, 1, "estimate")


@given(st.text())
def test_estimate_is_a_quarter_of_the_bytes_rounded_up(text: str) -> None:
    assert estimate(text) == math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("a", "a"),
        ({"choices": [{"message": {"content": "a"}}]}, "a"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "tool_use"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"output_text": "a"}, "a"),
        ({"choices": []}, None),
        ({"answer": 1}, None),
        (7, None),
        (Hostile(), None),
    ],
)
def test_text_of_an_answer(response: Any, text: str | None) -> None:
    assert answer_text(response) == text


def test_content_that_has_no_text_has_no_tokens() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    counter = TokenCounter()
    assert [counter.count(content, "m")[0] for content in (7, object(), cycle, None)] == [None] * 4
    assert counter.count([{"role": "user", "content": "é"}], "m") == (9, "estimate")
    assert counter.count(b"12345", "m") == (2, "estimate")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What tiktoken would fetch."""
    asked: list[str] = []

    def fetch(blobpath: str) -> bytes:
        asked.append(blobpath)
        raise OSError("no network here")

    monkeypatch.setattr(tiktoken.load, "read_file", fetch)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    yield asked
    assert asked == []


def test_encoding_that_is_not_on_disk_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = TokenCounter()
    assert counter.count("12345", "gpt-4o") == (2, "estimate")
    assert list(tmp_path.iterdir()) == []


def test_encoding_whose_bytes_are_wrong_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]
) -> None:
    lying = tmp_path / hashlib.sha1(PUBLISHED["o200k_base"][0].encode()).hexdigest()
    lying.write_bytes(b"half of a download")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert TokenCounter().count("12345", "gpt-4o") == (2, "estimate")
    assert lying.exists()


def test_tiktoken_is_not_asked_without_a_directory(monkeypatch: pytest.MonkeyPatch, no_network: list[str]) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert TokenCounter().count("12345", "gpt-4o") == (2, "estimate")


def test_encoding_on_disk_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[str]) -> None:
    """With an encoding of our own making where tiktoken looks for the published one, which is not ours to ship."""
    ranks = [bytes([byte]) for byte in range(256)] + [b"ab", b"abab"]
    data = b"\n".join(base64.b64encode(token) + b" " + str(rank).encode() for rank, token in enumerate(ranks))
    url = PUBLISHED["o200k_base"][0]
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes(data)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tokens, "PUBLISHED", {"o200k_base": (url, hashlib.sha256(data).hexdigest())})
    monkeypatch.setattr(tiktoken.load, "check_hash", lambda *_: True)
    counter = TokenCounter()
    assert counter.count("abababc", "gpt-4o") == (3, "tiktoken")
    assert counter.count("abababc", "gpt-4o-2024-08-06") == (3, "tiktoken")
    assert counter.count("<|endoftext|>", "gpt-4o")[1] == "tiktoken"
    assert counter.count("\ud800", "gpt-4o")[1] == "tiktoken"
    assert counter.count("abababc", "claude-opus-5") == (2, "estimate")
    assert counter.count("ab" * 100_001, "gpt-4o")[1] == "estimate"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_what_is_published_is_what_tiktoken_asks_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked: list[tuple[str, str]] = []

    def load(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((url, expected_hash))
        return {}

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", load)
    tiktoken_ext.openai_public.ENCODING_CONSTRUCTORS[name]()
    assert asked == [PUBLISHED[name]]


def price(model: str, provider: str | None = None, usage: Usage | None = None) -> Decimal | None:
    return PriceTable().cost(model, provider, usage or Usage(1_000_000, 1_000_000), AT)


def test_makers_model_needs_no_provider() -> None:
    assert price("gpt-4o") == Decimal("12.5")
    assert price("gpt-4o", "openai") == Decimal("12.5")
    assert price("gpt-4o", "OpenAI") == Decimal("12.5")


def test_tokens_of_a_cache_have_their_own_price() -> None:
    assert price("gpt-4o", "openai", Usage(1_000_000, 0, cache_read_tokens=1_000_000)) == Decimal("1.25")


@pytest.mark.parametrize("provider", [None, "openai", "anthropic", "google", "internal", "my-openai-proxy", ""])
def test_internal_model_that_resembles_a_public_one_has_no_price(provider: str | None) -> None:
    names = ["my-gpt-4o-internal", "gpt-4o-internal", "internal/gpt-4o", "my-claude-3-haiku", "claude-3-haiku-ours"]
    assert [price(name, provider) for name in names] == [None] * len(names)


def test_no_maker_prices_a_model_with_words_of_somebody_else() -> None:
    table = PriceTable()
    table.prepare()
    usage = Usage(1_000_000, 1_000_000)
    makers = {"anthropic", "cohere", "deepseek", "google", "mistral", "openai", "x-ai"}
    listed = [(p.id, m.id) for p in data_snapshot.get_snapshot().providers if p.id in makers for m in p.models]
    for provider, model in listed:
        for name in (f"my-{model}-internal", f"our-{model}", f"{model}-internal"):
            assert table.cost(name, None, usage, AT) is None
            assert table.cost(name, provider, usage, AT) is None, (name, provider)


def test_dated_name_is_priced_when_its_provider_is_given() -> None:
    assert price("gpt-4o-2024-08-06", "openai") == price("gpt-4o")
    assert price("claude-haiku-4-5-20251001", "anthropic") is not None
    assert price("gpt-4o-2024-08-06") is None


def test_next_model_is_not_a_version_of_the_last() -> None:
    assert [price(name, "openai") for name in ("gpt-4.9", "gpt-4o-9", "gpt-9", "o9-mini")] == [None] * 4


def test_price_of_two_numbers_is_that_of_the_package() -> None:
    usage = {"input_tokens": 1234, "output_tokens": 567}
    for name in ("gpt-4o", "gpt-5-mini", "o3"):
        whole = genai_prices.calc_price(genai_prices.Usage(**usage), name, provider_id="openai").total_price
        assert price(name, None, Usage(1234, 567)) == whole


def test_model_of_two_makers_needs_its_provider() -> None:
    assert price("claude-3-haiku") is None
    assert price("claude-3-haiku", "anthropic") is not None


@pytest.mark.parametrize("name", ["azure.ai.openai", "azure"])
def test_names_of_opentelemetry_are_known(name: str) -> None:
    assert price("gpt-4o", name) is not None


@pytest.mark.parametrize("usage", [Usage(), Usage(1, None), Usage(None, 1)])
def test_no_tokens_no_price(usage: Usage) -> None:
    assert price("gpt-4o", "openai", usage) is None


def test_operators_price_is_used_in_place_of_the_table() -> None:
    memory = MemoryExporter()
    interceptor = instrument("s", memory, price=lambda span: 0.5 if span.model == "ours" else None)
    for model in ("ours", "gpt-4o"):
        interceptor.record_model_call(model, "p", response="r")
    assert [span.cost_usd for span in memory.spans] == [Decimal("0.5"), None]
    assert interceptor.get_metrics_snapshot()["avg_cost_usd"] == 0.5
