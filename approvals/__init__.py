"""When a second phase or a person must agree."""
