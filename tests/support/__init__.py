"""What tests share: made-up people, a real broker, mail server, worker, database server and browser."""

PASSWORD = "synthetic-Passphrase-4711"
