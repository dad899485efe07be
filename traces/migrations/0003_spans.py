"""Spans around decisions, and content that came apart from its span: both partitioned by month, append-only."""

import django.db.models.deletion
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0002_evaluation'),
    ]

    operations = [
        migrations.CreateModel(
            name='Span',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('trace_id', models.UUIDField()),
                ('span_id', models.BigIntegerField()),
                ('parent_span_id', models.BigIntegerField(null=True)),
                ('started_at', models.DateTimeField()),
                ('duration_us', models.BigIntegerField()),
                ('kind', models.SmallIntegerField()),
                ('status', models.SmallIntegerField()),
                ('name', models.TextField()),
                ('service', models.TextField()),
                ('environment', models.TextField()),
                ('instance', models.TextField()),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SpanContent',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('trace_id', models.UUIDField()),
                ('span_id', models.BigIntegerField()),
                ('event', models.TextField()),
                ('occurred_at', models.DateTimeField()),
                ('position', models.IntegerField()),
                ('leaf_hash', models.BinaryField(max_length=32)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        IsolateTable("Span", append_only=True, partitioned=True, grants={"ingest": "INSERT"}),
        IsolateTable("SpanContent", append_only=True, partitioned=True, grants={"ingest": "INSERT"}),
        migrations.AddIndex(
            model_name='span',
            index=models.Index(fields=['tenant', 'trace_id'], name='span_trace'),
        ),
        migrations.AddIndex(
            model_name='span',
            index=models.Index(fields=['tenant', 'service', 'started_at', 'id'], name='span_service'),
        ),
        migrations.AddIndex(
            model_name='spancontent',
            index=models.Index(fields=['tenant', 'trace_id', 'span_id'], name='span_content_span'),
        ),
    ]
