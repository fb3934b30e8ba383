from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin with IVIGTrack's own site as the default, so that `admin.register` goes there."""

    default_site = "ivigtrack.admin_site.IVIGTrackAdminSite"
