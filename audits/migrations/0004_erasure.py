"""Erasure of a data subject, and what the database holds everybody to while one runs."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable

STEPS = "requested>approved requested>rejected approved>running approved>rejected running>completed"

# Content, keys and names go for an erasure that a second person approved and a worker carries out; for nothing else.
GUARDS = f"""
CREATE FUNCTION affidavit_erases(tenant uuid, under uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM audits_erasure WHERE tenant_id = tenant AND state = 'running' AND (id = under OR under IS NULL))
$$;
CREATE FUNCTION affidavit_refuse_unapproved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT affidavit_erases(NEW.tenant_id, NEW.under_id) THEN
        RAISE EXCEPTION 'no approved erasure runs under this number' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_unapproved AFTER INSERT ON traces_erasedcontent
    FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_unapproved();
CREATE FUNCTION affidavit_refuse_destruction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT affidavit_erases(OLD.tenant_id, NULL) THEN
        RAISE EXCEPTION 'a subject''s key goes only with an approved erasure' USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER refuse_destruction BEFORE DELETE ON tenants_subjectkey
    FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_destruction();
CREATE TRIGGER refuse_jump AFTER INSERT OR UPDATE OF state ON audits_erasure
    FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_jump('requested', '{STEPS}');
"""

# Append-only rows give up names, never facts: the columns below, to nothing, and only while an erasure runs.
FORGET = r"""
CREATE OR REPLACE FUNCTION affidavit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    names text[] := CASE regexp_replace(TG_TABLE_NAME, '_y[0-9]{4}m[0-9]{2}$', '')
        WHEN 'traces_decision' THEN ARRAY['user', 'session', 'external_id']
        WHEN 'traces_feedback' THEN ARRAY['given_by']
        WHEN 'traces_submission' THEN ARRAY['fingerprint']
        WHEN 'traces_costanomaly' THEN ARRAY['who']
        WHEN 'tenants_ledgerevent' THEN ARRAY['body', 'salt']
    END;
    was jsonb;
    becomes jsonb;
    forgets boolean;
BEGIN
    IF TG_OP = 'UPDATE' AND names IS NOT NULL THEN
        was := to_jsonb(OLD);
        becomes := to_jsonb(NEW);
        SELECT bool_and(becomes->name = was->name
                OR becomes->>name IN ('', '\x', '\x' || repeat('00', 32), 'erased ' || (was->>'id'))
                OR name = 'body' AND becomes->>'salt' = '\x')
          INTO forgets FROM unnest(names) AS name;
        IF forgets AND becomes - names = was - names AND affidavit_erases(OLD.tenant_id, NULL) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
"""
BACK = """
CREATE OR REPLACE FUNCTION affidavit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DROP TRIGGER refuse_jump ON audits_erasure;
DROP TRIGGER refuse_destruction ON tenants_subjectkey;
DROP TRIGGER refuse_unapproved ON traces_erasedcontent;
DROP FUNCTION affidavit_refuse_destruction();
DROP FUNCTION affidavit_refuse_unapproved();
DROP FUNCTION affidavit_erases(uuid, uuid);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audits", "0003_sampling"),
        ("tenants", "0003_erasure"),
        ("traces", "0013_erasure"),
    ]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.IntegerField(editable=False)),
                ("subject_hmac", models.BinaryField(max_length=32)),
                ("sealed_subject", models.BinaryField(default=bytes)),
                (
                    "ground",
                    models.CharField(
                        choices=[
                            ("a", "No longer needed for its purpose"),
                            ("b", "Consent was withdrawn"),
                            ("c", "The person objects"),
                            ("d", "It was processed unlawfully"),
                            ("e", "A law demands it"),
                            ("f", "Offered to a child"),
                        ],
                        max_length=1,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "Waits for approval"),
                            ("approved", "Approved"),
                            ("running", "Erasing"),
                            ("completed", "Completed"),
                            ("rejected", "Rejected"),
                        ],
                        default="requested",
                        max_length=20,
                    ),
                ),
                ("requested_by", models.CharField(max_length=200)),
                ("requested_label", models.CharField(max_length=200)),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("decided_by", models.CharField(blank=True, max_length=200)),
                ("decided_label", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_note", models.CharField(blank=True, max_length=500)),
                ("removed", models.JSONField(default=dict)),
                ("completed_at", models.DateTimeField(null=True)),
                ("certificate", models.BinaryField(default=bytes)),
                ("certificate_note", models.TextField(blank=True)),
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
            options={
                "verbose_name": "erasure request",
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant", "state", "number"], name="erasure_state")],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "number"), name="erasure_number_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("decided_by", models.F("requested_by")), _negated=True),
                        name="erasure_decided_by_another",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ("approved", "running", "completed")), _negated=True),
                            models.Q(("decided_by", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="erasure_decided",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "completed"), _negated=True),
                            models.Q(
                                ("completed_at__isnull", False),
                                ("sealed_subject", b""),
                                models.Q(("certificate", b""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="erasure_completed_whole",
                    ),
                ],
            },
        ),
        IsolateTable("Erasure", grants={"web": "SELECT, INSERT, UPDATE", "worker": "SELECT, UPDATE"}),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(FORGET, BACK),
    ]
