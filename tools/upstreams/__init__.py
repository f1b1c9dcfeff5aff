"""MCP servers behind this one: what they offer, and calls to them. None of it is trusted."""
