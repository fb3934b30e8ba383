"""The product table that ships with IVIGTrack: facts read from labels, each row with its source and date.

A field for which no source was read is empty. Rates of 10 % products are converted from mg/kg/min by
1 mg/kg/min = 0.01 mL/kg/min = 0.6 mL/kg/h.
"""

import csv
from pathlib import Path
from typing import Any

from reactions.models.product import Product, ProductRate

TABLE = Path(__file__).resolve().parent.parent / "data" / "products.csv"
RATES = TABLE.with_name("product_rates.csv")


def read_product_table() -> list[dict[str, Any]]:
    """The shipped rows as column values of Product; empty cells of numbers and dates are None."""
    nullable = [field.name for field in Product._meta.fields if field.null]
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = []
        for row in csv.DictReader(file):
            values: dict[str, Any] = dict(row)
            for flag in ("is_intravenous", "is_current"):
                values[flag] = row[flag] == "yes"
            rows.append({name: None if value == "" and name in nullable else value for name, value in values.items()})
    return rows


def load_product_table(using: str = "default") -> int:
    """Add the shipped products whose name the database does not have; rows that are there are never changed.

    Returns how many were added.
    """
    manager = Product.objects.using(using)
    known = set(manager.values_list("name", flat=True))
    missing = [Product(**row) for row in read_product_table() if row["name"] not in known]
    manager.bulk_create(missing)
    load_product_rates(using)
    return len(missing)


def load_product_rates(using: str = "default") -> None:
    """Add the shipped label rates of current products that have none; a product with rates of its own keeps them."""
    without = Product.objects.using(using).filter(is_current=True, rates=None)
    products = {product.name: product for product in without}
    with RATES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["product"] in products]
    rates = [
        ProductRate(
            **row
            | {"product": products[row["product"]], "at_risk_max_ml_per_kg_h": row["at_risk_max_ml_per_kg_h"] or None}
        )
        for row in rows
    ]
    ProductRate.objects.using(using).bulk_create(rates)
