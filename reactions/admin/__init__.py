from reactions.admin import chairside, records, review

__all__ = ["chairside", "records", "review"]
