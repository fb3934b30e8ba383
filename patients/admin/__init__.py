from patients.admin import people

__all__ = ["people"]
