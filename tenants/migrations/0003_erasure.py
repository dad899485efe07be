"""Erasure: what the worker may forget in the log's events, and who destroys a subject's key."""

from django.db import migrations, models

GRANTS = """
GRANT UPDATE (erasure_epoch) ON tenants_tenant TO affidavit_worker;
GRANT UPDATE (body, salt) ON tenants_ledgerevent TO affidavit_worker;
REVOKE UPDATE, DELETE ON tenants_subjectkey FROM affidavit_web;
REVOKE UPDATE ON tenants_subjectkey FROM affidavit_worker;
"""
BACK = """
REVOKE UPDATE (erasure_epoch) ON tenants_tenant FROM affidavit_worker;
REVOKE UPDATE (body, salt) ON tenants_ledgerevent FROM affidavit_worker;
GRANT UPDATE, DELETE ON tenants_subjectkey TO affidavit_web;
GRANT UPDATE ON tenants_subjectkey TO affidavit_worker;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_webhooks")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="erasure_epoch",
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.RunSQL(GRANTS, BACK),
    ]
