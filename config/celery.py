"""Background work: queues, and the only schedule."""

import os

from celery import Celery

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
            "accepted-risks": {"task": "audits.tasks.lapse_accepted_risks", "schedule": 3600},
            "costs": {"task": "traces.tasks.roll_up_costs", "schedule": 15},
            "cost-anomalies": {"task": "traces.tasks.watch_costs", "schedule": 300},
            "old-minutes": {"task": "traces.tasks.drop_old_minutes", "schedule": 3600},
            "search-words": {"task": "traces.tasks.index_words", "schedule": 5},
            # A run that nobody took within its interval is dropped: the next one does its work.
            "meaning": {
                "task": "traces.tasks.embed_decisions", "schedule": 10, "options": {"queue": "embed", "expires": 10},
            },
            "judge": {"task": "traces.tasks.judge_decisions", "schedule": 30, "options": {"expires": 30}},
            "meaning-orphans": {"task": "traces.tasks.forget_orphans", "schedule": 24 * 3600},
            "drift": {"task": "traces.tasks.look_for_drift", "schedule": 30},
            "sequence-gaps": {"task": "traces.tasks.find_sequence_gaps", "schedule": 60},
            "anchors": {"task": "tenants.tasks.anchor_checkpoints", "schedule": 60},
        },
    }
)
app.autodiscover_tasks()
