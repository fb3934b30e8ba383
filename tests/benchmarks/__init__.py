"""How fast mail leaves, logs come in and rates are answered, beside what each is compared with: `make bench`."""
