# Two commands matter: `make run` and `make test`. Both work from a fresh clone and set up .venv themselves.

BIN := .venv/bin
# The first Python that is new enough and can make an environment. Another one: make run PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help run test bench faults check format python-found

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST) | expand -t 16

run: python-found ## everything on this machine, with demo data; Ctrl-C stops it
	@$(PYTHON) ivigtrack/local/environment.py requirements.txt
	@exec $(BIN)/python -m ivigtrack.local.run

test: python-found ## the whole suite on SQLite, PostgreSQL and in a browser
	@$(PYTHON) ivigtrack/local/environment.py requirements-dev.txt
	@exec $(BIN)/python -m tests.support.everything

bench: python-found ## how fast mail leaves, logs come in, rates are answered, patients found; BENCH="rates --infusions 1000000 --db postgres"
	@$(PYTHON) ivigtrack/local/environment.py requirements-dev.txt
	@exec $(BIN)/python -m tests.benchmarks $(BENCH)

DB ?= postgres
ROUNDS ?= 8
N ?= 1000
SEED ?=
TARGETS ?=

faults: python-found ## kills everything while check-ins go out: DB=sqlite ROUNDS=8 N=1000 SEED= TARGETS=worker,smtp
	@$(PYTHON) ivigtrack/local/environment.py requirements-dev.txt
	@exec $(BIN)/python -m tests.faults --db "$(DB)" --rounds "$(ROUNDS)" --count "$(N)" --seed "$(SEED)" --targets "$(TARGETS)"

check: python-found ## lint, types, templates, import order, migrations, deployment settings
	@$(PYTHON) ivigtrack/local/environment.py requirements-dev.txt
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/lint-imports
	DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	DEBUG=false SITE_URL=https://ivigtrack.example ALLOWED_HOSTS=ivigtrack.example DATABASE_URL=sqlite://:memory: \
		SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		IVIGTRACK_FIELD_KEYS=$$($(BIN)/python manage.py new_key) \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

format: python-found ## put code into the agreed form
	@$(PYTHON) ivigtrack/local/environment.py requirements-dev.txt
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

python-found:
	@test -n "$(PYTHON)" || { \
		echo "IVIGTrack needs Python 3.11 or newer with its venv module, and found none." >&2; \
		echo "python3 here: $$(python3 --version 2>&1 || echo not installed)" >&2; \
		echo "On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
