"""Cases that alerts led to, and the rule that opens one by itself."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.conf import settings
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('audits', '0005_holds'),
        ('tenants', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertCase',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('alert_id', models.UUIDField()),
                ('by_rule', models.BooleanField()),
                ('opened_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('case', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='audits.case')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'alert_id'), name='alert_case_once')],
            },
        ),
        migrations.CreateModel(
            name='AlertRule',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('least', models.CharField(blank=True, max_length=10)),
                ('since', models.DateTimeField(default=django.utils.timezone.now)),
                ('set_by', models.CharField(max_length=200)),
                ('lead', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant',), name='alert_rule_one_a_tenant'), models.CheckConstraint(condition=models.Q(('least', ''), ('lead__isnull', False), _connector='OR'), name='alert_rule_has_lead')],
            },
        ),
        IsolateTable("AlertCase", append_only=True),
        IsolateTable("AlertRule"),
    ]
