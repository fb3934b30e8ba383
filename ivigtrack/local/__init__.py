"""What `make run` starts on one machine: a broker, a mail sink, and the service's own processes."""
