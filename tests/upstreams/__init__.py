"""MCP servers that stand behind this one in tests: real processes, spoken to over real transports."""
