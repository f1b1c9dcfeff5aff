"""What operators do: each act is check + change + audit event in one transaction. Every door calls these."""
