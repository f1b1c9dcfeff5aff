"""The package is light: without an extra it says which one is wanted, and the rest works."""

import os
import subprocess
import sys
from pathlib import Path

import mcp_observatory
import pytest
from mcp_observatory import TraceContext
from mcp_observatory.exporters.postgres import PostgresExporter
from mcp_observatory.schema import PATH
from mcp_observatory.wire import COLUMNS
from scripted_server import ScriptedServer

WITHOUT = """
import sys
for name in (
    *("psycopg", "psycopg_pool", "genai_prices", "tiktoken", "opentelemetry", "mcp", "jsonschema_rs", "websockets"),
):
    sys.modules[name] = None
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(mcp_observatory.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments, "-c", program] if program else [sys.executable, *arguments],
        env={"PYTHONPATH": path, "TIKTOKEN_CACHE_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("extra", ["postgres", "otlp"])
def test_missing_extra_is_named(extra: str) -> None:
    ended = run(WITHOUT + f"import mcp_observatory.exporters.{extra}")
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith(f'pip install "mcp-observatory[{extra}]"')


@pytest.mark.parametrize("made", ['MCPClient("ws://h/mcp")', 'MCPHarness(Client(), "gpt-4")'])
def test_missing_extra_of_the_harness_is_named(made: str) -> None:
    ended = run(
        WITHOUT
        + f"""
from mcp_observatory import MCPClient, MCPHarness
class Client:
    async def connect(self): ...
    async def list_tools(self): ...
    async def call_tool(self, name, arguments): ...
    async def close(self): ...
{made}
"""
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith('pip install "mcp-observatory[harness]"')


def test_harness_on_a_server_needs_no_extra(server: ScriptedServer) -> None:
    ended = run(
        WITHOUT
        + f"""
import asyncio
from mcp_observatory import MCPHarness, PolicyConfig, ToolClient
async def main():
    harness = MCPHarness(ToolClient({server.url!r}, "k"), "gpt-4", PolicyConfig(max_steps=3))
    session = await harness.start_session("s")
    await harness.execute_step(session, "user", "Hello")
    await harness.close_session(session)
    print(session.status, len(session.steps))
asyncio.run(main())
"""
    )
    assert (ended.stdout, ended.stderr) == ("closed 1\n", "")
    assert len(server.hits) == 3


def test_everything_else_works_without_any_extra() -> None:
    ended = run(
        WITHOUT
        + """
import asyncio
from mcp_observatory import instrument
from mcp_observatory.exporters import MemoryExporter
memory = MemoryExporter()
interceptor = instrument("s", memory)
asyncio.run(interceptor.intercept_model_call("gpt-4o", "12345", response="1"))
(span,) = memory.spans
print(span.prompt_tokens, span.token_source, span.cost_usd, interceptor.get_metrics_snapshot()["avg_cost_usd"])
"""
    )
    assert (ended.stdout, ended.stderr) == ("2 estimate None 0.0\n", "")


def test_import_brings_nothing_but_the_standard_library() -> None:
    ended = run(
        """
import sys
before = set(sys.modules)
import mcp_observatory, mcp_observatory.exporters
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(name for name in new if name not in sys.stdlib_module_names))
"""
    )
    assert ended.stdout == "['mcp_observatory']\n"


def test_schema_is_printed_and_found() -> None:
    assert run("", "-m", "mcp_observatory.schema").stdout == PATH.read_text(encoding="utf-8")
    assert run("", "-m", "mcp_observatory.schema", "--path").stdout == f"{PATH}\n"


def test_schema_has_every_column() -> None:
    table = PATH.read_text(encoding="utf-8").partition("CREATE TABLE")[2].partition("PRIMARY KEY")[0]
    assert {line.split()[0] for line in table.splitlines()[1:] if line.strip()} == set(COLUMNS)


def test_database_that_is_not_there_never_reaches_the_caller(nobody: str) -> None:
    exporter = PostgresExporter(
        nobody.replace("http://", "postgresql://u:secret@") + "/x",
        interval_s=0.01,
        retry_for_s=0.2,
        connect_timeout_s=0.2,
    )
    exporter.export(TraceContext("s"))
    assert exporter.flush(10)
    assert exporter.counts.dropped == {"not_delivered": 1}
    exporter.close()
