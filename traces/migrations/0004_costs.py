"""What decisions cost: the price on the record, the price book, rollups, budgets. Seeds the published price list."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable, append_only_statements


def seed_list(apps, schema_editor):
    """The list that came with the package is the first edition: a fresh installation prices from its first record."""
    from traces.costs.seeding import seed_list_prices

    seed_list_prices(using=schema_editor.connection.alias, model=apps.get_model("traces", "ListPrice"))


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0003_spans'),
    ]

    operations = [
        migrations.AddField(
            model_name='decision',
            name='cost_micros',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='currency',
            field=models.CharField(max_length=3, null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='price_sha256',
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='saved_micros',
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('scope', models.CharField(choices=[('tenant', 'Everything'), ('system', 'One system'), ('user', 'One user'), ('key', 'One source')], default='tenant', max_length=10)),
                ('subject', models.CharField(blank=True, max_length=200)),
                ('period', models.CharField(choices=[('day', 'Each day'), ('month', 'Each month'), ('rolling', 'The last days')], default='month', max_length=10)),
                ('days', models.SmallIntegerField(default=30)),
                ('limit_micros', models.BigIntegerField()),
                ('currency', models.CharField(default='USD', max_length=3)),
                ('thresholds', models.JSONField(default=list)),
                ('on_exceed', models.CharField(choices=[('none', 'Only tell'), ('block', 'Block'), ('route', 'Route to another model')], default='none', max_length=10)),
                ('route_to', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('retired_at', models.DateTimeField(blank=True, null=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='BudgetAlert',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('period_start', models.DateTimeField()),
                ('kind', models.CharField(choices=[('spent', 'Spent'), ('forecast', 'Forecast')], max_length=10)),
                ('threshold', models.SmallIntegerField()),
                ('spent_micros', models.BigIntegerField()),
                ('forecast_micros', models.BigIntegerField()),
                ('limit_micros', models.BigIntegerField()),
                ('raised_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('budget', tenants.models.base.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='traces.budget')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ListPrice',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('edition', models.BigIntegerField()),
                ('position', models.BigIntegerField()),
                ('provider', models.CharField(max_length=100)),
                ('model', models.CharField(max_length=200)),
                ('sha256', models.BinaryField(max_length=32)),
                ('document', models.BinaryField()),
                ('recorded_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('edition', 'position'), name='list_price_place')],
            },
        ),
        migrations.CreateModel(
            name='ModelPrice',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('edition', models.BigIntegerField()),
                ('provider', models.CharField(blank=True, max_length=100)),
                ('model', models.CharField(max_length=200)),
                ('sha256', models.BinaryField(max_length=32)),
                ('document', models.BinaryField()),
                ('recorded_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('recorded_by', models.CharField(max_length=200)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Restatement',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('reason', models.TextField()),
                ('requested_by', models.CharField(max_length=200)),
                ('requested_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RestatedCost',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('decision_id', models.UUIDField()),
                ('old_micros', models.BigIntegerField(null=True)),
                ('old_currency', models.CharField(blank=True, max_length=3)),
                ('old_price_sha256', models.BinaryField(max_length=32, null=True)),
                ('new_micros', models.BigIntegerField(null=True)),
                ('new_currency', models.CharField(blank=True, max_length=3)),
                ('new_price_sha256', models.BinaryField(max_length=32, null=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('restatement', tenants.models.base.TenantForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.restatement')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RollupQueue',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.UUIDField()),
                ('restated', models.BooleanField()),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SubjectRollup',
            fields=[
                ('grain', models.SmallIntegerField(choices=[(1, 'Minute'), (2, 'Hour'), (3, 'Day')])),
                ('bucket', models.DateTimeField()),
                ('currency', models.CharField(max_length=3)),
                ('n', models.BigIntegerField()),
                ('n_unpriced', models.BigIntegerField()),
                ('n_cached', models.BigIntegerField()),
                ('input_tokens', models.BigIntegerField()),
                ('output_tokens', models.BigIntegerField()),
                ('cache_read_tokens', models.BigIntegerField()),
                ('cache_write_tokens', models.BigIntegerField()),
                ('reasoning_tokens', models.BigIntegerField()),
                ('cost_micros', models.BigIntegerField()),
                ('restated_micros', models.BigIntegerField()),
                ('saved_micros', models.BigIntegerField()),
                ('pk', models.CompositePrimaryKey('tenant_id', 'kind', 'grain', 'bucket', 'value', 'deployment', 'currency', blank=True, editable=False, primary_key=True, serialize=False)),
                ('kind', models.SmallIntegerField(choices=[(1, 'User'), (2, 'Session')])),
                ('value', models.TextField()),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='UsageRollup',
            fields=[
                ('grain', models.SmallIntegerField(choices=[(1, 'Minute'), (2, 'Hour'), (3, 'Day')])),
                ('bucket', models.DateTimeField()),
                ('currency', models.CharField(max_length=3)),
                ('n', models.BigIntegerField()),
                ('n_unpriced', models.BigIntegerField()),
                ('n_cached', models.BigIntegerField()),
                ('input_tokens', models.BigIntegerField()),
                ('output_tokens', models.BigIntegerField()),
                ('cache_read_tokens', models.BigIntegerField()),
                ('cache_write_tokens', models.BigIntegerField()),
                ('reasoning_tokens', models.BigIntegerField()),
                ('cost_micros', models.BigIntegerField()),
                ('restated_micros', models.BigIntegerField()),
                ('saved_micros', models.BigIntegerField()),
                ('pk', models.CompositePrimaryKey('tenant_id', 'grain', 'bucket', 'deployment', 'model_version', 'source', 'agent', 'outcome', 'currency', blank=True, editable=False, primary_key=True, serialize=False)),
                ('agent', models.TextField()),
                ('outcome', models.TextField()),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('model_version', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.modelversion')),
                ('source', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.sourcesystem')),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='CostAnomaly',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('runaway_session', 'Runaway session'), ('task_cost', 'A task costs more')], max_length=20)),
                ('who', models.TextField(blank=True)),
                ('day', models.DateTimeField()),
                ('noticed_at', models.DateTimeField()),
                ('n', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('cost_micros', models.BigIntegerField()),
                ('lost_micros', models.BigIntegerField()),
                ('cause', models.TextField()),
                ('deployment', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.deployment')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        IsolateTable("CostAnomaly", append_only=True),
        IsolateTable("Budget", grants={"ingest": "SELECT"}),
        IsolateTable("BudgetAlert", append_only=True),
        IsolateTable("ModelPrice", append_only=True, grants={"ingest": "SELECT"}),
        IsolateTable("Restatement", append_only=True),
        IsolateTable("RestatedCost", append_only=True),
        IsolateTable("RollupQueue", grants={"ingest": "INSERT"}),
        IsolateTable("SubjectRollup", grants={"ingest": "SELECT"}),
        IsolateTable("UsageRollup", grants={"ingest": "SELECT"}),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.UniqueConstraint(condition=models.Q(('retired_at', None)), fields=('tenant', 'name'), name='budget_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('limit_micros__gt', 0)), name='budget_limit_positive'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('days__gte', 1), ('days__lte', 366)), name='budget_days_sane'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('scope', 'tenant'), ('subject', '')), models.Q(models.Q(('scope', 'tenant'), _negated=True), models.Q(('subject', ''), _negated=True)), _connector='OR'), name='budget_subject_of_scope'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('on_exceed', 'route'), ('route_to', ''), _connector='XOR'), name='budget_route_somewhere'),
        ),
        migrations.AddConstraint(
            model_name='budgetalert',
            constraint=models.UniqueConstraint(fields=('tenant', 'budget', 'period_start', 'kind', 'threshold'), name='budget_alert_once'),
        ),
        migrations.AddConstraint(
            model_name='modelprice',
            constraint=models.UniqueConstraint(fields=('tenant', 'edition'), name='model_price_edition'),
        ),
        migrations.AddIndex(
            model_name='restatedcost',
            index=models.Index(fields=['tenant', 'decision_id', 'id'], name='restated_cost_decision'),
        ),
        migrations.AddIndex(
            model_name='subjectrollup',
            index=models.Index(fields=['tenant', 'kind', 'value', 'grain', 'bucket'], name='subject_rollup_value'),
        ),
        migrations.AddIndex(
            model_name='subjectrollup',
            index=models.Index(fields=['tenant', 'kind', 'grain', 'currency', 'bucket', '-cost_micros'], name='subject_rollup_dearest'),
        ),
        migrations.AddConstraint(
            model_name='costanomaly',
            constraint=models.UniqueConstraint(fields=('tenant', 'day', 'kind', 'deployment', 'who'), name='cost_anomaly_once'),
        ),
        migrations.RunPython(seed_list, migrations.RunPython.noop),
        migrations.RunSQL(append_only_statements("traces_listprice"), migrations.RunSQL.noop),
    ]
