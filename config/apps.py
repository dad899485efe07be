from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root: its static files, and the Celery application that tasks bind to."""

    name = "config"

    def ready(self) -> None:
        import config.celery  # noqa: F401  tasks bind to the current application
