"""Rows that say what was done, shown, judged or signed at a moment: they are only ever added."""

from typing import Any, NoReturn

from django.db import models

from patients.models.record import NeverDeleted


class AppendOnlyQuerySet(models.QuerySet):
    def update(self, **kwargs: Any) -> NoReturn:
        raise NeverDeleted(f"{self.model._meta.verbose_name_plural} are never changed, only added.")

    def delete(self) -> NoReturn:
        raise NeverDeleted(f"{self.model._meta.verbose_name_plural} are never deleted.")

    def bulk_create(self, objs: Any, *args: Any, update_conflicts: bool = False, **kwargs: Any) -> list[Any]:
        """Add many at once. What is there already is not written over."""
        if update_conflicts:
            self.update()
        return super().bulk_create(objs, *args, **kwargs)


class AppendOnly(models.Model):
    """A row that is written once. What comes after it is another row."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise NeverDeleted(f"{self._meta.verbose_name_plural} are never changed, only added.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NeverDeleted(f"{self._meta.verbose_name_plural} are never deleted.")
