"""A scripted server for each test, and clients of it that do not really sleep."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mcp_observatory import ToolClient
from scripted_server import KEY, ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    found = ScriptedServer()
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.over.set()
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client_of(slept: list[float]) -> Iterator[Callable[..., ToolClient]]:
    made: list[ToolClient] = []

    def make(url: str, **options: Any) -> ToolClient:
        settings = {"timeout_s": 5.0, "sleep": slept.append, "random": lambda: 0.0, **options}
        made.append(ToolClient(url, KEY, **settings))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(server: ScriptedServer, client_of: Callable[..., ToolClient]) -> ToolClient:
    return client_of(server.url)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
