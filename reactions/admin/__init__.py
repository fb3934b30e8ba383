from reactions.admin import records

__all__ = ["records"]
