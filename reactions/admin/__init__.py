from reactions.admin import alerting, chairside, planning, records, review

__all__ = ["alerting", "chairside", "planning", "records", "review"]
