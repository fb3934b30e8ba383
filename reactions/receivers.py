"""What happens by itself after a migration: the shipped product table is there, and the database has a site id."""

from typing import Any

from django.db.models.signals import post_migrate
from django.dispatch import receiver

from reactions import site
from reactions.models.product_table import load_product_table


@receiver(post_migrate, dispatch_uid="reactions.load_product_table")
def load_products(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        load_product_table(using=using)


@receiver(post_migrate, dispatch_uid="reactions.name_database")
def name_database(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        site.name_database(using=using)
