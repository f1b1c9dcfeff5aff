"""Names that no tool of anybody may have, known before any model is loaded."""

# Of what the MCP door answers itself.
RESERVED_PREFIX = "observatory."
