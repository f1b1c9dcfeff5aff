"""Spans that others report: what is taken of them, and why one is refused. Pure; nothing here reads or writes."""
