# `make run` and `make test` do all the set-up a fresh machine needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?= 1

.DEFAULT_GOAL := help
.PHONY: help run test check format

help:
	@echo "make run     the whole service with demonstration data, on this machine"
	@echo "make test    every test, on SQLite, PostgreSQL and Chromium"
	@echo "make check   lint, types, import order, templates, migrations, deployment settings"
	@echo "make format  put code and templates into their form"

# An environment is made once for each version of the requirements.
$(VENV)/run-stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make run PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what IVIGTrack runs on ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev-stamp: requirements-dev.txt $(VENV)/run-stamp
	@echo "Installing what checks and tests it ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(VENV)/run-stamp
	@exec $(BIN)/python -m ivigtrack.local.run

test: $(VENV)/dev-stamp
	@$(BIN)/python -m tests.support.everything

check: $(VENV)/dev-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(60))') SITE_URL=https://ivigtrack.example ALLOWED_HOSTS=ivigtrack.example $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(VENV)/dev-stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
