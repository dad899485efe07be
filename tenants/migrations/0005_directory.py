"""People whom the organisation's own directory manages (SCIM), and the scope of the key that does."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.conf import settings
from django.db import migrations, models

from tenants.isolation import IsolateTable


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0004_rate_limits'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('ingest', 'Ingest: write only, for one source; can neither read nor delete'), ('read', 'Read'), ('manage', 'Manage'), ('directory', 'Directory: brings members and gives roles by SCIM, and does nothing else')], max_length=16), size=None),
        ),
        migrations.CreateModel(
            name='DirectoryUser',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('external_id', models.CharField(blank=True, max_length=200)),
                ('display_name', models.CharField(blank=True, max_length=200)),
                ('is_active', models.BooleanField(default=True)),
                ('roles', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('owner', 'Owner'), ('admin', 'Administrator'), ('policy_author', 'Policy author'), ('policy_approver', 'Policy approver'), ('auditor', 'Auditor'), ('external_auditor', 'External auditor'), ('viewer', 'Viewer')], max_length=32), blank=True, default=list, size=None)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'user'), name='directory_user_unique'), models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('tenant', 'external_id'), name='directory_external_id_unique')],
            },
        ),
        IsolateTable("DirectoryUser"),
    ]
