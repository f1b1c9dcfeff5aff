"""A client as one wrote it for the earlier tool server: its addresses, headers and fields, and nothing newer."""

import json
import urllib.error
import urllib.request
from typing import Any


class SeedClient:
    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url, self.api_key = base_url, api_key

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {"X-API-Key": self.api_key, "Content-Type": "application/json"} | headers
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        status, answer = self.request("POST", path, body, **headers)
        assert status == 200, (status, answer)
        return answer

    def scenario(self, key: str) -> dict[str, Any]:
        """Find a customer, open a ticket, ask for a status change, confirm it, tell the channel."""
        customer = self.post("/tools/search_customer", {"query": "acme"})["results"][0]
        ticket = self.post(
            "/tools/create_ticket",
            {"customer_id": customer["id"], "title": "Login fails", "description": "Since noon", "priority": "high"},
            **{"Idempotency-Key": key},
        )
        pending = self.post(
            "/tools/update_customer_status", {"customer_id": customer["id"], "new_status": "at_risk", "confirm": False}
        )
        assert pending["requires_confirmation"] is True
        assert pending["customer"] is None
        confirmed = self.post(f"/confirm/{pending['pending_action_id']}", {"approve": True})
        message = self.post("/tools/send_message", {"channel": "support", "message": "Ticket opened"})
        return {"customer": customer, "ticket": ticket, "confirmed": confirmed, "message": message}
