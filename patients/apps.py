from django.apps import AppConfig


class PatientsConfig(AppConfig):
    name = "patients"
    verbose_name = "Patients and staff"

    def ready(self) -> None:
        # Receivers are connected by being imported; models exist only now.
        from patients import receivers  # noqa: F401, PLC0415
