"""Behaviour: baselines, watches, alerts, and the queue that feeds them."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0004_costs'),
    ]

    operations = [
        migrations.CreateModel(
            name='Baseline',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'deployment', 'grain', 'bucket', 'segment', 'model_version', 'policy', 'feature_version', blank=True, editable=False, primary_key=True, serialize=False)),
                ('grain', models.SmallIntegerField(choices=[(1, 'Hour'), (2, 'Day')])),
                ('bucket', models.DateTimeField()),
                ('segment', models.CharField(max_length=100)),
                ('policy', models.CharField(max_length=100)),
                ('feature_version', models.SmallIntegerField()),
                ('n', models.BigIntegerField()),
                ('sums', models.BinaryField()),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('model_version', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.modelversion')),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='DriftWatch',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('state', models.BinaryField()),
                ('seen_to', models.DateTimeField()),
                ('n_seen', models.BigIntegerField()),
                ('n_late', models.BigIntegerField()),
                ('open_alert_id', models.UUIDField(null=True)),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='DriftAlert',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('supersedes_id', models.UUIDField(null=True)),
                ('kind', models.CharField(choices=[('behaviour', 'Behaviour changed'), ('input', 'Inputs shifted'), ('repeated_requests', 'Repeated requests'), ('runaway_session', 'Runaway session'), ('odd_inputs', 'Unusual inputs')], max_length=20)),
                ('segment', models.CharField(blank=True, max_length=100)),
                ('channel', models.CharField(max_length=200)),
                ('cause', models.TextField()),
                ('p', models.FloatField(null=True)),
                ('noticed_at', models.DateTimeField()),
                ('onset_at', models.DateTimeField()),
                ('onset_low_at', models.DateTimeField()),
                ('onset_high_at', models.DateTimeField()),
                ('ramp_end_at', models.DateTimeField(null=True)),
                ('final', models.BooleanField()),
                ('document', models.BinaryField()),
                ('recorded_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'noticed_at', 'id'], name='drift_alert_time'), models.Index(fields=['tenant', 'deployment', 'noticed_at'], name='drift_alert_deployment')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'deployment', 'kind', 'segment', 'channel', 'noticed_at', 'final'), name='drift_alert_once'), models.UniqueConstraint(condition=models.Q(('supersedes_id__isnull', False)), fields=('tenant', 'supersedes_id'), name='drift_alert_superseded_once')],
            },
        ),
        migrations.CreateModel(
            name='DriftAlertState',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('standing', models.CharField(choices=[('open', 'Open'), ('acknowledged', 'Acknowledged'), ('muted', 'Muted'), ('expected', 'Expected change')], default='open', max_length=12)),
                ('note', models.TextField(blank=True)),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('changed_by', models.CharField(blank=True, max_length=200)),
                ('muted_until', models.DateTimeField(null=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('muted_until__isnull', False), ('standing', 'muted')), models.Q(models.Q(('standing', 'muted'), _negated=True), ('muted_until__isnull', True)), _connector='OR'), name='drift_state_muted_until')],
            },
        ),
        migrations.CreateModel(
            name='DriftQueue',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.UUIDField()),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('occurred_at', models.DateTimeField()),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'deployment', 'occurred_at', 'id'], name='drift_queue_order')],
            },
        ),
        IsolateTable("Baseline"),
        IsolateTable("DriftAlert", append_only=True),
        IsolateTable("DriftAlertState"),
        IsolateTable("DriftQueue", grants={"ingest": "INSERT"}),
        IsolateTable("DriftWatch"),
    ]
