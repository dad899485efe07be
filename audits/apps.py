from django.apps import AppConfig
from django.core.checks import register


class AuditsConfig(AppConfig):
    name = "audits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audits.checks import check_report_key  # models are not ready any earlier

        register(check_report_key)
