"""Emptying the tables after a test that wrote past a transaction, the append-only ones among them."""

from django.db import DEFAULT_DB_ALIAS
from django.test import TransactionTestCase

from patients import guards


def let_tests_empty_the_trail() -> None:
    """Take its triggers off before the tables are emptied. Django puts them on again, as after a migration."""
    empty = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def empty_without_guards(self: TransactionTestCase) -> None:
        guards.take_off(DEFAULT_DB_ALIAS)
        empty(self)

    TransactionTestCase._fixture_teardown = empty_without_guards  # type: ignore[attr-defined]
