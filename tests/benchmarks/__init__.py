"""How fast mail leaves and how fast rates are answered, beside what they are compared with: `make bench`."""
