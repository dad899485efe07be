"""Erasure: why content is gone, what may be forgotten of a record, and the way from a subject's key to its content."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable

# No content goes without its reason on record; who may give one, the app above says (audits 0004).
GUARD = """
CREATE FUNCTION affidavit_refuse_unexplained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM traces_erasedcontent WHERE tenant_id = OLD.tenant_id AND id = OLD.id) THEN
        RAISE EXCEPTION 'content goes only with its reason on record' USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER refuse_unexplained BEFORE DELETE ON traces_decisionpayload
    FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_unexplained();
GRANT UPDATE ("user", session, external_id) ON traces_decision TO affidavit_worker;
GRANT UPDATE (given_by) ON traces_feedback TO affidavit_worker;
GRANT UPDATE (fingerprint) ON traces_submission TO affidavit_worker;
GRANT UPDATE (who) ON traces_costanomaly TO affidavit_worker;
"""
BACK = """
REVOKE UPDATE ("user", session, external_id) ON traces_decision FROM affidavit_worker;
REVOKE UPDATE (given_by) ON traces_feedback FROM affidavit_worker;
REVOKE UPDATE (fingerprint) ON traces_submission FROM affidavit_worker;
REVOKE UPDATE (who) ON traces_costanomaly FROM affidavit_worker;
DROP TRIGGER refuse_unexplained ON traces_decisionpayload;
DROP FUNCTION affidavit_refuse_unexplained();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0003_erasure"),
        ("traces", "0012_repeats_priced"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErasedContent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("under_id", models.UUIDField()),
                ("reason", models.CharField(max_length=120)),
                ("erased_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "tenant",
                    tenants.models.base.OwnerKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={"abstract": False, "base_manager_name": "objects", "default_manager_name": "objects"},
        ),
        IsolateTable("ErasedContent", append_only=True, grants={"web": "SELECT"}),
        migrations.AddIndex(
            model_name="erasedcontent",
            index=models.Index(fields=["tenant", "under_id", "id"], name="erased_content_under"),
        ),
        migrations.AddIndex(
            model_name="decisionpayload",
            index=models.Index(fields=["tenant", "subject_key"], name="decision_payload_subject"),
        ),
        migrations.RunSQL(GUARD, BACK),
    ]
