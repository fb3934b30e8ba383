from django.apps import AppConfig


class ReactionsConfig(AppConfig):
    name = "reactions"
    verbose_name = "Infusions and reactions"

    def ready(self) -> None:
        # Receivers are connected by being imported; models exist only now.
        from reactions import receivers  # noqa: F401, PLC0415
