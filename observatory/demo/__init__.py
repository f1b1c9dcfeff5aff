"""The demonstration: a small CRM with tickets and incidents, its tools, its keys, its scenarios. Never in production."""
