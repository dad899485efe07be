"""Public keys of applications' pages, to send thumbs with."""

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
        ('traces', '0009_pairings'),
    ]

    operations = [
        migrations.CreateModel(
            name='ThumbKey',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('origins', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=200), size=None)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('revoked_at', models.DateTimeField(editable=False, null=True)),
                ('source', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.sourcesystem')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'name'), name='thumb_key_name_unique'), models.CheckConstraint(condition=models.Q(('origins__len__gt', 0)), name='thumb_key_has_origin')],
            },
        ),
        IsolateTable("ThumbKey"),
    ]
