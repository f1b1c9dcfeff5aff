"""MCP over streamable HTTP: the same keys, the same one door, the same records as REST. No session, no state.

Two eras of the protocol are spoken: the handshake ones (2024-11-05 to 2025-11-25) and the stateless one (2026-07-28).
Source: the Model Context Protocol specification of those versions; the package `mcp` for what the wire looks like.
"""
