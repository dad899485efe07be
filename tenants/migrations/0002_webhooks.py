"""Endpoints that are told of events, and the log of what was sent there."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('kind', models.CharField(choices=[('generic', 'Program (Standard Webhooks)'), ('slack', 'Chat (Slack-compatible)'), ('email', 'E-mail')], max_length=10)),
                ('address', models.BinaryField()),
                ('shown', models.CharField(max_length=300)),
                ('secret', models.BinaryField()),
                ('previous_secret', models.BinaryField()),
                ('previous_until', models.DateTimeField(editable=False, null=True)),
                ('event_types', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), size=None)),
                ('is_enabled', models.BooleanField(default=True)),
                ('failing_since', models.DateTimeField(editable=False, null=True)),
                ('disabled_at', models.DateTimeField(editable=False, null=True)),
                ('disabled_because', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('event_type', models.CharField(max_length=60)),
                ('payload', models.BinaryField()),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('delivered', 'Delivered'), ('given_up', 'Given up')], default='waiting', max_length=10)),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('n_attempts', models.SmallIntegerField(default=0)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('settled_at', models.DateTimeField(editable=False, null=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('endpoint', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='deliveries', to='tenants.webhookendpoint')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WebhookAttempt',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('number', models.SmallIntegerField()),
                ('at', models.DateTimeField()),
                ('took_ms', models.IntegerField()),
                ('status', models.SmallIntegerField(null=True)),
                ('detail', models.TextField(blank=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('delivery', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='attempts', to='tenants.webhookdelivery')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'delivery', 'number'), name='webhook_attempt_number_once')],
            },
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='webhook_endpoint_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('disabled_at__isnull', True), ('is_enabled', True)), models.Q(('disabled_at__isnull', False), ('is_enabled', False)), _connector='OR'), name='webhook_endpoint_disabled_when'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['tenant', 'endpoint', 'due_at'], name='webhook_due'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['tenant', 'endpoint', '-id'], name='webhook_delivery_newest'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.UniqueConstraint(fields=('tenant', 'endpoint', 'event_id'), name='webhook_delivery_once'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_at__isnull', True), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('settled_at__isnull', False)), _connector='OR'), name='webhook_delivery_settled_when'),
        ),
        IsolateTable("WebhookEndpoint"),
        IsolateTable("WebhookDelivery"),
        # A try is written once and goes with its delivery: nobody may change one.
        IsolateTable(
            "WebhookAttempt", grants={"web": "SELECT, INSERT, DELETE", "worker": "SELECT, INSERT, DELETE"}
        ),
    ]
