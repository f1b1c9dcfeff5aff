"""Alerts: rules over figures, the state of each alert, and what people are to be told of it."""
