"""What `make run` starts on one machine: broker, web, worker, beat and a mail sink. Never used in a real deployment."""
