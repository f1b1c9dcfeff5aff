"""What happened: spans, audit events, payloads. Knows nothing of the apps above it."""
