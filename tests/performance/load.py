"""A client that keeps some connections busy and says how long each request took. Run as its own process.

usage: python -m tests.performance.load PORT PATH CONNECTIONS SECONDS KEY  (the body comes on standard input)
"""

import json
import socket
import sys
import threading
import time
from typing import Any


def requests_on_one_connection(address: tuple[str, int], request: bytes, until: float, took: list[float]) -> None:
    took_one = False
    with socket.create_connection(address, timeout=120) as connection:
        while not took_one or time.perf_counter() < until:  # each connection sends at least one
            took_one = True
            began = time.perf_counter()
            connection.sendall(request)
            status, data = _answer(connection)
            if status != b"200":
                raise RuntimeError(f"{status!r} {data[:300]!r}")
            took.append(time.perf_counter() - began)


def _answer(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:"))
    while len(body) < length:
        body += _more(connection)
    return head[9:12], body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


def main(port: str, path: str, connections: str, seconds: str, key: str) -> dict[str, Any]:
    body = sys.stdin.buffer.read()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    took: list[float] = []
    began = time.perf_counter()
    until = began + float(seconds)
    arguments = (("127.0.0.1", int(port)), head.encode() + body, until, took)
    threads = [threading.Thread(target=requests_on_one_connection, args=arguments) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    took.sort()
    return {
        "requests": len(took),
        "per_second": len(took) / elapsed,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
