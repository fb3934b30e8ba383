"""How fast mail leaves, measured beside what it is compared with. `make bench` runs it."""
