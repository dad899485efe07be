"""Which model versions have answered in which deployments, for what is stored already too."""

import django.db.models.deletion
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable

# Tenant by tenant: the owner too sees only the tenant that is set.
BACKFILL = """
DO $$
DECLARE
    one uuid;
BEGIN
    FOR one IN SELECT tenant_id FROM affidavit_tenant_ids() LOOP
        PERFORM set_config('app.tenant_id', one::text, true);
        INSERT INTO traces_pairing (tenant_id, deployment_id, model_version_id)
        SELECT DISTINCT tenant_id, deployment_id, model_version_id FROM traces_decision WHERE tenant_id = one
            ON CONFLICT DO NOTHING;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0008_failed'),
    ]

    operations = [
        migrations.CreateModel(
            name='Pairing',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'deployment_id', 'model_version_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('deployment_id', models.UUIDField()),
                ('model_version_id', models.UUIDField()),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        IsolateTable("Pairing", append_only=True, grants={"ingest": "SELECT, INSERT"}),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
    ]
