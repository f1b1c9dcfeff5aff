"""What the client library adds to a call, with the memory exporter, as a ratio to the bare coroutine. Printed."""

import asyncio
import statistics
import sys
import time

import pytest
from mcp_observatory import instrument
from mcp_observatory.exporters import MemoryExporter

pytestmark = [pytest.mark.slow, pytest.mark.alone]
ROUNDS = 7
# The least that a call of a model could take, and a call that does nothing at all.
SHAPES = {"a call of 1 ms": (0.001, 200), "a call that only yields": (0, 3_000)}


async def bare(pause_s):
    await asyncio.sleep(pause_s)
    return "An answer of some words."


async def seconds_a_call(call, count):
    began = time.perf_counter()
    for _ in range(count):
        await call()
    return (time.perf_counter() - began) / count


async def measured(ways, count):
    """The median of each way, taken in turns, so that what else the machine does falls on all."""
    found = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, call in ways.items():
            found[name].append(await seconds_a_call(call, count))
    return {name: statistics.median(times) for name, times in found.items()}


def test_what_a_recorded_call_costs(capsys):
    interceptor = instrument("measured", MemoryExporter(limit=1_000))
    for model in ("gpt-4o", "ours"):
        interceptor.prepare(model)
    figures = {}
    for shape, (pause_s, count) in SHAPES.items():
        tool = interceptor.tool("measured")(bare)
        ways = {
            "bare": lambda pause_s=pause_s: bare(pause_s),
            "tool": lambda pause_s=pause_s, tool=tool: tool(pause_s),
            "model, no price": lambda pause_s=pause_s: interceptor.intercept_model_call(
                "ours", "A prompt.", call=lambda: bare(pause_s)
            ),
            "model, priced": lambda pause_s=pause_s: interceptor.intercept_model_call(
                "gpt-4o", "A prompt.", call=lambda: bare(pause_s)
            ),
        }
        figures[shape] = asyncio.run(measured(ways, count))
    with capsys.disabled():
        for shape, found in figures.items():
            for name, seconds in found.items():
                added_us = (seconds - found["bare"]) * 1e6
                ratio = seconds / found["bare"]
                sys.stdout.write(f"\n{shape}: {name:16} {ratio:7.3f} x bare, {added_us:7.1f} us more")
        sys.stdout.write("\n")
    assert interceptor.errors == 0
    # A change of kind would show: a price table read, or a connection made, with each call.
    assert figures["a call of 1 ms"]["model, priced"] / figures["a call of 1 ms"]["bare"] < 3
