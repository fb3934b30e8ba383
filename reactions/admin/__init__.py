from reactions.admin import alerting, chairside, planning, records, review, signals

__all__ = ["alerting", "chairside", "planning", "records", "review", "signals"]
