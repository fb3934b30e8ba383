"""IVIG products as their labels describe them: data with a source and a date."""

from typing import Any, Self

from django.db import models
from django.db.models import Q

from reactions.vocabulary import Indication, choices


class ProductQuerySet(models.QuerySet):
    def for_infusion(self) -> Self:
        """Products that may be given into a vein today: the newest version of each, none that is subcutaneous only."""
        return self.filter(is_intravenous=True, is_current=True)


class Product(models.Model):
    """One version of a product's label facts. Empty means that no source was read for it, never zero.

    A changed label is a new row with the next `label_version`; infusions keep the version they were given under.
    """

    name = models.CharField(max_length=100)
    maker = models.CharField(max_length=100, blank=True)
    label_version = models.PositiveSmallIntegerField(default=1)
    is_current = models.BooleanField(default=True, help_text="Untick to take it off the pick-list.")
    is_intravenous = models.BooleanField(default=True)
    concentration_percent = models.DecimalField(max_digits=4, decimal_places=1, null=True, blank=True)
    stabiliser = models.CharField(max_length=100, blank=True)
    iga_max_ug_per_ml = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    start_rate_ml_per_kg_h = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    max_rate_ml_per_kg_h = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        null=True,
        blank=True,
        help_text="The highest rate the label allows for any indication.",
    )
    max_rate_note = models.CharField(max_length=300, blank=True, help_text="Lower limits by indication or risk.")
    source = models.CharField(max_length=300)
    source_date = models.DateField(null=True, blank=True, help_text="When this row was compiled from its source.")
    is_verified = models.BooleanField(default=False, help_text="A pharmacist compared the row with the current label.")

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-label_version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "label_version"], name="reactions_product_version_once"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(is_current=True), name="reactions_product_one_current"
            ),
            models.CheckConstraint(
                name="reactions_product_concentration_positive",
                condition=Q(concentration_percent=None) | Q(concentration_percent__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name = " ".join(self.name.split())
        super().save(*args, **kwargs)


class ProductRate(models.Model):
    """The rates that a label gives for one indication, or for any where it names none."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="rates")
    indication = models.CharField(max_length=30, blank=True, choices=[("", "Any"), *choices(Indication)])
    start_ml_per_kg_h = models.DecimalField(max_digits=6, decimal_places=3)
    max_ml_per_kg_h = models.DecimalField(max_digits=6, decimal_places=3)
    at_risk_max_ml_per_kg_h = models.DecimalField(
        max_digits=6,
        decimal_places=3,
        null=True,
        blank=True,
        help_text="For patients at risk of thrombosis or kidney failure.",
    )
    source = models.CharField(max_length=300)
    source_date = models.DateField(help_text="When this row was compiled from its source.")

    class Meta:
        verbose_name = "label rate"
        ordering = ["product", "indication"]
        constraints = [
            models.UniqueConstraint(fields=["product", "indication"], name="reactions_productrate_once"),
            models.CheckConstraint(
                name="reactions_productrate_positive",
                condition=Q(start_ml_per_kg_h__gt=0)
                & Q(max_ml_per_kg_h__gte=models.F("start_ml_per_kg_h"))
                & (Q(at_risk_max_ml_per_kg_h=None) | Q(at_risk_max_ml_per_kg_h__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product}, {self.get_indication_display().lower()}"
