"""A client that calls one tool, or proposes it, or proposes and commits it, over kept connections. Its own process.

One JSON object on standard input: port, key, shape, connections, seconds, arguments, outputs.
"""

import http.client
import json
import sys
import threading
import time
from typing import Any


class Connection:
    """One connection that is kept, and how long each round on it took."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.http = http.client.HTTPConnection("127.0.0.1", given["port"], timeout=120)
        self.headers = {"X-API-Key": given["key"], "Content-Type": "application/json"}
        self.took: list[float] = []

    def post(self, path: str, body: Any) -> Any:
        self.http.request("POST", path, json.dumps(body), self.headers)
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {data[:300]!r}")
        return json.loads(data)

    def once(self) -> None:
        arguments, shape = self.given["arguments"], self.given["shape"]
        if shape == "guarded call":
            self.post("/tools/create_ticket", arguments)
            return
        body = {"tool": "create_ticket", "args": arguments, "candidate_outputs": self.given["outputs"]}
        proposal = self.post("/proposals", body)
        if shape == "propose and commit":
            path = f"/proposals/{proposal['proposal_id']}/commit"
            done = self.post(path, {"commit_token": proposal["commit_token"], "args": arguments})
            if done["status"] != "committed":
                raise RuntimeError(done)

    def run(self, until: float) -> None:
        while not self.took or time.perf_counter() < until:
            began = time.perf_counter()
            self.once()
            self.took.append(time.perf_counter() - began)
        self.http.close()


def main() -> None:
    given = json.load(sys.stdin)
    connections = [Connection(given) for _ in range(given["connections"])]
    until = time.perf_counter() + given["seconds"]
    threads = [threading.Thread(target=connection.run, args=(until,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = sorted(seconds for connection in connections for seconds in connection.took)
    figures = {
        "times": len(took),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
