"""A program on this machine: one JSON-RPC message a line on its standard input and output.

The package's own client buffers a line without end; this one doesn't. It ends the program as the specification says:
its input is closed, then it is asked, then killed, with all that it started.
Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#shutdown
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import IO

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from telemetry.egress.asynchronous import hold, let_go
from telemetry.egress.errors import EgressError, Kind
from tools.upstreams.exchange import CURRENT, LARGEST_MESSAGE_BYTES
from tools.upstreams.streams import Inbound, Outbound, Oversized, parsed, wire
from tools.upstreams.target import Target

log = logging.getLogger(__name__)

_LONGEST_WRITE_S = 10.0
_GRACE_S = 1.0
_POLL_S = 0.01
_TAIL_BYTES = 2048
_TAIL_EVERY_S = 0.05
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]+")


class _Inbound(Inbound):
    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self.is_at_end = False
        self._reader = reader

    async def _next(self) -> SessionMessage | Exception:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise Oversized from None
        except (asyncio.IncompleteReadError, OSError):
            self.is_at_end = True
            raise anyio.EndOfStream from None
        self.bytes_read += len(line)
        return parsed(line)


class _Outbound(Outbound):
    def __init__(self, writer: asyncio.StreamWriter, program: subprocess.Popen[bytes]) -> None:
        self._writer = writer
        self._program = program

    async def _put(self, message: SessionMessage) -> None:
        if _is_dead(self._program) or self._writer.is_closing():
            exchange = CURRENT.get()
            if exchange is not None:
                exchange.written = False
            raise anyio.BrokenResourceError
        # The writer keeps what it can't write yet, so being cancelled here leaves no half of a line.
        self._writer.write(wire(message).encode() + b"\n")
        try:
            with anyio.fail_after(_LONGEST_WRITE_S):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
            raise anyio.BrokenResourceError from None


class _Tail(asyncio.Protocol):
    """The end of what the program says on its standard error; it is read slowly, whatever it says."""

    def __init__(self) -> None:
        self.kept = b""
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.kept = (self.kept + data)[-_TAIL_BYTES:]
        assert self._transport
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(_TAIL_EVERY_S, self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[tuple[Inbound, Outbound], None]:
    program = _started(target)
    assert program.stdin
    assert program.stdout
    assert program.stderr
    pipes: tuple[IO[bytes], ...] = (program.stdin, program.stdout, program.stderr)
    numbers = [pipe.fileno() for pipe in pipes]
    for number in numbers:
        hold(number)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LARGEST_MESSAGE_BYTES)
    tail = _Tail()
    try:
        incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), program.stdout)
        errors, _ = await loop.connect_read_pipe(lambda: tail, program.stderr)
        outgoing, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), program.stdin
        )
        inbound = _Inbound(reader)
        try:
            yield inbound, _Outbound(asyncio.StreamWriter(outgoing, protocol, None, loop), program)
        finally:
            is_own_end = inbound.is_at_end
            outgoing.close()
            # Where it is stuck writing, it can't notice that its input was closed.
            incoming.close()
            with anyio.CancelScope(shield=True):
                is_own_end = await _ended(program) and is_own_end
            errors.close()
            if is_own_end:
                said = _printable(tail.kept, target)
                log.warning("the program of upstream %s ended by itself: %s", target.name, said)
    finally:
        for number in numbers:
            let_go(number)
        if program.poll() is None:
            _signal_all(program, signal.SIGKILL)
            program.wait()
        for pipe in pipes:
            with contextlib.suppress(OSError):
                pipe.close()


def _started(target: Target) -> subprocess.Popen[bytes]:
    if not target.command:
        raise EgressError(Kind.UNREACHABLE, "It has no command.")
    try:
        return subprocess.Popen(
            list(target.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=get_default_environment() | dict(target.environment),
            cwd=os.sep,  # nobody's folder
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError):
        raise EgressError(Kind.UNREACHABLE, "Its program can't be started.") from None


async def _ended(program: subprocess.Popen[bytes]) -> bool:
    """It has ended, and all that it started; True where it did so without being told by a signal."""
    told = None
    for told in (None, signal.SIGTERM, signal.SIGKILL):
        if told is not None:
            _signal_all(program, told)
        with anyio.move_on_after(_GRACE_S):
            while not _is_dead(program):
                await anyio.sleep(_POLL_S)
        if _is_dead(program):
            break
    # Not yet waited for, so the number of its group is still its own.
    _signal_all(program, signal.SIGKILL)
    program.poll()
    return told is None


def _is_dead(program: subprocess.Popen[bytes]) -> bool:
    """True once it has ended, without letting its number go."""
    if program.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _signal_all(program: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """The program and all that it started: it leads a session of its own."""
    if program.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, number)


def _printable(tail: bytes, target: Target) -> str:
    text = tail.decode(errors="replace")
    for _, secret in target.environment:
        if secret:
            text = text.replace(secret, "***")
    return _UNPRINTABLE.sub("?", text).strip().replace("\n", " | ")
