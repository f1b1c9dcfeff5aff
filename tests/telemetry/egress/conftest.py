"""Listeners that end with their test, and loopback opened or closed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from telemetry.egress.pool import pool
from tests.telemetry.egress.peer import FINE, Answer, Listener


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(answer: Answer = FINE, **options: Any) -> Listener:
        listeners.append(Listener(answer, **options))
        return listeners[-1]

    yield start
    pool.close()
    for listener in listeners:
        listener.stop()


@pytest.fixture
def opened(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def closed(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []
