"""The demonstration: a small CRM, its tools, its keys, its scenarios. Never in production."""
