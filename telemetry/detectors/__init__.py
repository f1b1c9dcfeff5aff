"""What looks for personal data, secrets, injection and the like in a text: a detector a file, one registry."""
