"""A service elsewhere that reports its model calls: with the client library, to the same doors as any other.

Every eighth answer came from the fallback, which is over the bound of the rule that comes with an installation: an
alert fires once the minute is summed up.
"""

import asyncio

from mcp_observatory import MCPInterceptor, instrument
from mcp_observatory.exporters.http import HttpExporter

from observatory.demo.invoking import AnsweredOtherwise, Say

SERVICE, CALLS, EVERY_EIGHTH = "support-bot", 40, 8


def run(base_url: str, key: str, say: Say) -> dict[str, float]:
    """The library's own figures, over what was reported."""
    interceptor = instrument(service_name=SERVICE, exporter=HttpExporter(base_url, key))
    try:
        asyncio.run(_answer_customers(interceptor))
        if not interceptor.flush(10.0):
            raise AnsweredOtherwise("the spans could not be reported within ten seconds")
        figures, alerts = interceptor.get_metrics_snapshot(), interceptor.get_active_alerts()
    finally:
        interceptor.close()
    say("Calls that a service elsewhere reports")
    say(f"  {SERVICE} reported {CALLS} model calls, {figures['avg_cost_usd']:.6f} USD each; over its bounds: {alerts}")
    say("  they are under Record, Spans in admin now, and in its charts and alerts within two minutes")
    return figures


async def _answer_customers(interceptor: MCPInterceptor) -> None:
    for number in range(CALLS):
        fell_back = number % EVERY_EIGHTH == 0
        await interceptor.intercept_model_call(
            model="gpt-4o",
            prompt=f"Where is order {number}?",
            response="It left the warehouse this morning.",
            provider="openai",
            confidence=0.4 if fell_back else 0.9,
            confidence_gate_threshold=0.3,
            fallback_used=fell_back,
        )
