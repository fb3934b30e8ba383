"""What happens by itself around a migration.

Before it the triggers of the rates that are kept ready are taken off, and nobody reads these. After it the shipped
product table is there, the database has a site id, and rates are kept ready again.
"""

from typing import Any

from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import receiver

from reactions import site
from reactions.models.product_table import load_product_table
from reactions.rates import keeping


@receiver(post_migrate, dispatch_uid="reactions.load_product_table")
def load_products(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        load_product_table(using=using)


@receiver(post_migrate, dispatch_uid="reactions.name_database")
def name_database(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        site.name_database(using=using)


@receiver(pre_migrate, dispatch_uid="reactions.let_go_of_kept_rates")
def let_go_of_kept_rates(sender: Any, using: str, plan: Any = (), **kwargs: Any) -> None:
    """Only where a migration follows: afterwards all is made anew."""
    if sender.name == "reactions" and plan:
        keeping.let_go(using)


@receiver(post_migrate, dispatch_uid="reactions.keep_rates_ready")
def keep_rates_ready(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        keeping.prepare(using)
