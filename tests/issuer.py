"""A real authorization server on loopback: metadata, keys, tokens; it can be slow, wrong, huge or away."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/keys"
LIFETIME_S = 300


def public_jwk(kid: str, key: Any, **members: Any) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **members}


class Issuer:
    """`token()` signs; a claim or header given as None is left out. `hits` are the paths that were asked for."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self.signing = {"k1": ec.generate_private_key(ec.SECP256R1())}
        self.published = [public_jwk("k1", self.signing["k1"])]
        self.hits: list[str] = []
        self.status = 200
        self.metadata: dict[str, Any] = {}
        self.body: bytes | None = None
        # Set: answers wait for `go_on`.
        self.waits = False
        self.go_on = threading.Event()
        self.clients: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def rotate(self, kid: str) -> None:
        """The next tokens are signed by a new key; only that one is published."""
        self.signing[kid] = ec.generate_private_key(ec.SECP256R1())
        self.published = [public_jwk(kid, self.signing[kid])]

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": self.audience,
            "sub": "alice-at-the-issuer",
            "client_id": "chat-app",
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": f"{time.time_ns()}",
            "scope": "openid tools:call",
        }
        return {name: value for name, value in (usual | claims).items() if value is not None}

    def token(
        self, kid: str = "k1", key: Any = None, alg: str = "ES256", header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        headers = {"kid": kid, "typ": "at+jwt"} | (header or {})
        kept = {name: value for name, value in headers.items() if value is not None}
        if "typ" not in kept:
            kept["typ"] = ""  # PyJWT would write its own
        return jwt.encode(self.claims(**claims), key or self.signing[kid], algorithm=alg, headers=kept)

    def answer(self, path: str) -> dict[str, Any] | None:
        if path == KEYS:
            return {"keys": self.published}
        if path == METADATA:
            return {
                "issuer": self.url,
                "jwks_uri": self.url + KEYS,
                "authorization_endpoint": self.url + "/authorize",
                "token_endpoint": self.url + "/token",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            } | self.metadata
        return None

    def grant(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """RFC 6749, section 4.4, with RFC 8707: the token is for the resource that was asked for, and for no other."""
        client = self.clients.get(form.get("client_id", ""))
        if form.get("grant_type") != "client_credentials" or not client or client["secret"] != form["client_secret"]:
            return 401, {"error": "invalid_client"}
        client["asked"] = form
        words = " ".join(word for word in form.get("scope", "").split() if word in client["scopes"])
        token = self.token(sub=form["client_id"], client_id=form["client_id"], aud=form.get("resource"), scope=words)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S, "scope": words}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.hits.append(self.path)
                if issuer.waits:
                    issuer.go_on.wait(20)
                found = issuer.answer(self.path)
                status = issuer.status if issuer.status != 200 else 200 if found is not None else 404
                self._send(status, issuer.body if issuer.body is not None else json.dumps(found or {}).encode())

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, found = issuer.grant({name: values[0] for name, values in parse_qs(sent).items()})
                self._send(status, json.dumps(found).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Nothing is printed."""

        return Handler
