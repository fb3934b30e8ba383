"""Which keys sealed values of this database may need."""

from django.db import models


class FieldKey(models.Model):
    """A key that has sealed values since it was first met. A host that lacks one of these does not start."""

    fingerprint = models.CharField(max_length=16, unique=True)
    since = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.fingerprint
