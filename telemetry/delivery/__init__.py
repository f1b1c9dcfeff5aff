"""What people are told of alerts, on its way to them: claimed by one worker, sent, recorded."""
