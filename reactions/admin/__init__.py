from reactions.admin import chairside, records

__all__ = ["chairside", "records"]
