"""Background work: queues, and the only schedule."""

import os
from collections.abc import Mapping, MutableMapping
from logging.config import dictConfig
from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun
from django.conf import settings

from config import logs
from config.env import env_str

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("affidavit")
app.config_from_object(
    {
        "broker_url": env_str("REDIS_URL"),
        "broker_connection_retry_on_startup": True,
        "task_acks_late": True,  # a killed worker's task runs again: every task is idempotent
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_default_queue": "default",
        "task_ignore_result": True,
        "task_time_limit": 3600,
        "timezone": "UTC",
        "beat_schedule": {
            "partitions": {"task": "traces.tasks.ensure_partitions", "schedule": 6 * 3600},
            "backtests": {"task": "traces.tasks.run_backtests", "schedule": 5},
            "policy-follow-ups": {"task": "audits.tasks.open_follow_ups", "schedule": 60},
            "erasures": {"task": "audits.tasks.resume_erasures", "schedule": 300},
            "reminders": {"task": "audits.tasks.remind_of_cases", "schedule": 3600},
            "alert-cases": {"task": "audits.tasks.open_alert_cases", "schedule": 60},
            "retention": {"task": "audits.tasks.purge_contents", "schedule": 24 * 3600},
            "accepted-risks": {"task": "audits.tasks.lapse_accepted_risks", "schedule": 3600},
            "costs": {"task": "traces.tasks.roll_up_costs", "schedule": 15},
            "cost-anomalies": {"task": "traces.tasks.watch_costs", "schedule": 300},
            "old-minutes": {"task": "traces.tasks.drop_old_minutes", "schedule": 3600},
            "search-words": {"task": "traces.tasks.index_words", "schedule": 5},
            # A run that nobody took within its interval is dropped: the next one does its work.
            "meaning": {
                "task": "traces.tasks.embed_decisions",
                "schedule": 10,
                "options": {"queue": "embed", "expires": 10},
            },
            "judge": {"task": "traces.tasks.judge_decisions", "schedule": 30, "options": {"expires": 30}},
            "meaning-orphans": {"task": "traces.tasks.forget_orphans", "schedule": 24 * 3600},
            "drift": {"task": "traces.tasks.look_for_drift", "schedule": 30},
            "sequence-gaps": {"task": "traces.tasks.find_sequence_gaps", "schedule": 60},
            "anchors": {"task": "tenants.tasks.anchor_checkpoints", "schedule": 60},
            "webhooks": {"task": "tenants.tasks.send_webhooks", "schedule": 5, "options": {"expires": 5}},
            "old-deliveries": {"task": "tenants.tasks.forget_deliveries", "schedule": 3600},
            "refused-sign-ins": {
                "task": "tenants.tasks.record_refused_sign_ins",
                "schedule": 10,
                "options": {"expires": 10},
            },
            "metrics": {"task": "config.tasks.measure", "schedule": 10, "options": {"expires": 10}},
            "metrics-heads": {"task": "config.tasks.measure_heads", "schedule": 300, "options": {"expires": 300}},
        },
    }
)
app.autodiscover_tasks()


@setup_logging.connect
def use_our_logs(**_: Any) -> None:
    """Celery would set up logs of its own: a worker's are as the web's."""
    dictConfig(settings.LOGGING)


@before_task_publish.connect
def send_request_id(headers: MutableMapping[str, Any], **_: Any) -> None:
    logs.stamp(headers)


@task_prerun.connect
def begin(task_id: str, task: Task[Any, Any], args: list[Any], kwargs: Mapping[str, Any], **_: Any) -> None:
    sent = task.request.get(logs.HEADER) or (task.request.headers or {}).get(logs.HEADER)
    logs.begin_task(task_id, sent, args or [*kwargs.values()])


@task_postrun.connect
def end(**_: Any) -> None:
    logs.end_task()
