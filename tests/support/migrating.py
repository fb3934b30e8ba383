"""Bringing the database of a test to an earlier state and back, as `migrate` does."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.executor import MigrationExecutor

from patients import guards
from reactions.rates import keeping


def migrate(*targets: tuple[str, str]) -> Any:
    """Bring the database to this state, and give the models as they were then."""
    _take_triggers_off()
    MigrationExecutor(connection).migrate(list(targets))
    return MigrationExecutor(connection).loader.project_state(list(targets)).apps


def migrate_to_the_latest() -> None:
    """Bring the tables to what the models of today know."""
    _take_triggers_off()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    keeping.prepare()
    guards.put_on(DEFAULT_DB_ALIAS)


def _take_triggers_off() -> None:
    keeping.let_go(DEFAULT_DB_ALIAS)
    guards.take_off(DEFAULT_DB_ALIAS)
