"""OpenTelemetry: its names, its protocol's messages read and written, and our own spans sent on to a collector."""
