"""Answers to "may I?": a table of their own, partitioned by month."""

import django.db.models.deletion
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Evaluation',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('trace_id', models.UUIDField(null=True)),
                ('policy_set', models.BinaryField(max_length=32)),
                ('policy_match', models.CharField(choices=[('match', 'Claim matches'), ('stale', 'Claims an older set'), ('future', 'Claims a set not yet in force'), ('unknown', 'Claims a set nobody knows'), ('none', 'No claim')], max_length=8)),
                ('verdict', models.TextField()),
                ('action', models.TextField()),
                ('shadow_action', models.TextField()),
                ('body', models.BinaryField()),
                ('salt', models.BinaryField(max_length=32)),
                ('leaf_hash', models.BinaryField(max_length=32)),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('source', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.sourcesystem')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        IsolateTable("Evaluation", append_only=True, partitioned=True, grants={"ingest": "INSERT"}),
        migrations.AddIndex(
            model_name='evaluation',
            index=models.Index(condition=models.Q(('trace_id__isnull', False)), fields=['tenant', 'trace_id'], name='evaluation_trace'),
        ),
    ]
