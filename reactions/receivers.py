"""What happens by itself after a migration: the shipped product table is there."""

from typing import Any

from django.db.models.signals import post_migrate
from django.dispatch import receiver

from reactions.models.product_table import load_product_table


@receiver(post_migrate, dispatch_uid="reactions.load_product_table")
def load_products(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "reactions":
        load_product_table(using=using)
