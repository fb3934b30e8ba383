from reactions.admin import alerting, chairside, records, review

__all__ = ["alerting", "chairside", "records", "review"]
