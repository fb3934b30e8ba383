from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin with IVIGTrack's own site as the default, so that `admin.register` goes there."""

    default_site = "ivigtrack.admin_site.IVIGTrackAdminSite"

    def ready(self) -> None:
        super().ready()
        # Checks and what Celery asks at its start are registered by being imported.
        from ivigtrack import fitness  # noqa: F401, PLC0415
