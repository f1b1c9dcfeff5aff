"""How the clients of the day are told of this installation's /mcp: one text each, for admin's page and for the docs.

Sources: each client's own documentation, as of 2026-11.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

NAME = "observatory"
KEY_PLACEHOLDER = "YOUR_AGENT_KEY"


@dataclass(frozen=True, slots=True)
class Snippet:
    """What is put where, for one client. `language` is what the text is written in."""

    slug: str
    client: str
    where: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class _Client:
    slug: str
    name: str
    where: str
    language: str
    write: Callable[[str, str], str]


def snippets(url: str, key: str = KEY_PLACEHOLDER) -> list[Snippet]:
    """Every client's, for the address of /mcp and a key."""
    return [Snippet(one.slug, one.name, one.where, one.language, one.write(url, key)) for one in _CLIENTS]


def _json(document: object) -> str:
    return json.dumps(document, indent=2)


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _claude_code(url: str, key: str) -> str:
    return f'claude mcp add --transport http {NAME} {url} \\\n  --header "Authorization: Bearer {key}"'


def _project_file(url: str, key: str) -> str:
    return _json({"mcpServers": {NAME: {"type": "http", "url": url, "headers": _headers(key)}}})


def _claude_desktop(url: str, key: str) -> str:
    plain = ["--allow-http"] if url.startswith("http:") else []
    # Some systems split an argument at its spaces: the value, which has one, travels by the environment.
    arguments = ["-y", "mcp-remote", url, *plain, "--header", "Authorization:${AUTHORIZATION}"]
    server = {"command": "npx", "args": arguments, "env": {"AUTHORIZATION": f"Bearer {key}"}}
    return _json({"mcpServers": {NAME: server}})


def _cursor(url: str, key: str) -> str:
    return _json({"mcpServers": {NAME: {"url": url, "headers": _headers(key)}}})


def _vs_code(url: str, key: str) -> str:
    asked = {"type": "promptString", "id": "observatory-key", "description": "Agent key", "password": True}
    server = {"type": "http", "url": url, "headers": _headers("${input:observatory-key}")}
    return _json({"inputs": [asked], "servers": {NAME: server}})


def _windsurf(url: str, key: str) -> str:
    return _json({"mcpServers": {NAME: {"serverUrl": url, "headers": _headers(key)}}})


def _python(url: str, key: str) -> str:
    return f"""import asyncio

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    async with (
        httpx2.AsyncClient(headers={{"Authorization": "Bearer {key}"}}, timeout=60) as http,
        Client(streamable_http_client("{url}", http_client=http)) as client,
    ):
        print([tool.name for tool in (await client.list_tools()).tools])


asyncio.run(main())"""


def _typescript(url: str, key: str) -> str:
    return f"""import {{ Client, StreamableHTTPClientTransport }} from "@modelcontextprotocol/client";

const client = new Client({{ name: "my-agent", version: "1.0.0" }}, {{ versionNegotiation: {{ mode: "auto" }} }});
const headers = {{ Authorization: "Bearer {key}" }};
await client.connect(new StreamableHTTPClientTransport(new URL("{url}"), {{ requestInit: {{ headers }} }}));
console.log((await client.listTools()).tools.map((tool) => tool.name));
await client.close();"""


def _openai_agents(url: str, key: str) -> str:
    return f"""import asyncio

from agents import Agent, Runner
from agents.mcp import MCPServerStreamableHttp


async def main() -> None:
    params = {{"url": "{url}", "headers": {{"Authorization": "Bearer {key}"}}, "timeout": 60}}
    async with MCPServerStreamableHttp(name="{NAME}", params=params, client_session_timeout_seconds=60) as server:
        agent = Agent(name="Assistant", instructions="Use the tools.", mcp_servers=[server])
        print((await Runner.run(agent, "Find the customer ACME.")).final_output)


asyncio.run(main())"""


def _openai_responses(url: str, key: str) -> str:
    return f"""from openai import OpenAI

answer = OpenAI().responses.create(
    model="gpt-5",
    tools=[
        {{
            "type": "mcp",
            "server_label": "{NAME}",
            "server_url": "{url}",
            "authorization": "{key}",
            "require_approval": "never",
        }}
    ],
    input="Find the customer ACME.",
)
print(answer.output_text)"""


def _langchain(url: str, key: str) -> str:
    return f"""import asyncio

from langchain.agents import create_agent
from langchain.mcp import MCPAdapter

SERVERS = {{"{NAME}": {{"url": "{url}", "headers": {{"Authorization": "Bearer {key}"}}}}}}


async def main() -> None:
    async with MCPAdapter({{"mcpServers": SERVERS}}) as adapter:
        agent = create_agent("openai:gpt-5", await adapter.list_tools())
        print(await agent.ainvoke({{"messages": "Find the customer ACME."}}))


asyncio.run(main())"""


def _inspector(url: str, key: str) -> str:
    return f"""npx -y @modelcontextprotocol/inspector --cli --transport http --server-url {url} \\
  --header "Authorization: Bearer {key}" --method tools/list"""


def _curl(url: str, key: str) -> str:
    return f"""curl -sS {url} \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" \\
  -d '{{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}'"""


_CLIENTS = (
    _Client(
        "claude-code", "Claude Code", "Run it once; --scope user makes it known in every project.", "sh", _claude_code
    ),
    _Client(
        "project-file",
        "Claude Code, for a project",
        "In .mcp.json at the project's root. Where that is committed, write ${OBSERVATORY_KEY} in the key's place.",
        "json",
        _project_file,
    ),
    _Client(
        "claude-desktop",
        "Claude Desktop",
        "In claude_desktop_config.json (Settings, Developer, Edit Config); needs Node.js for the bridge mcp-remote.",
        "json",
        _claude_desktop,
    ),
    _Client("cursor", "Cursor", "In ~/.cursor/mcp.json, or in .cursor/mcp.json for one project.", "json", _cursor),
    _Client(
        "vs-code",
        "VS Code",
        "In .vscode/mcp.json, or in the user's mcp.json. It asks for the key once and keeps it.",
        "json",
        _vs_code,
    ),
    _Client("windsurf", "Windsurf", "In ~/.codeium/windsurf/mcp_config.json.", "json", _windsurf),
    _Client("python", "Python", "With the package mcp, from 2.0.", "python", _python),
    _Client("typescript", "TypeScript", "With the package @modelcontextprotocol/client.", "js", _typescript),
    _Client("openai-agents", "OpenAI Agents SDK", "With the package openai-agents.", "python", _openai_agents),
    _Client(
        "openai-responses",
        "OpenAI Responses",
        "OpenAI's servers make the calls: the address must be one that they can reach.",
        "python",
        _openai_responses,
    ),
    _Client("langchain", "LangChain and LangGraph", "With the package langchain[mcp], from 1.4.", "python", _langchain),
    _Client("inspector", "MCP Inspector", "Its command line; needs Node.js 22 or newer.", "sh", _inspector),
    _Client("curl", "curl", "To see whether the key is good, and what it sees.", "sh", _curl),
)
