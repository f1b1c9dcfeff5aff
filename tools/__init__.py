"""Who may call what: agents, keys, tools, policies, and the stages that ask."""
