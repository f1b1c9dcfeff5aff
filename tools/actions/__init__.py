"""What operators do: each act is check + change + audit event, in one transaction. Admin, API and commands call these."""
