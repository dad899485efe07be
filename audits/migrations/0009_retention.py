"""Retention: rules with a floor that the database keeps, runs, and what a run may take."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable

# A purge is the other thing that content goes for; it takes nothing younger than the floor, whatever a rule says.
GUARD = """
CREATE OR REPLACE FUNCTION affidavit_erases(tenant uuid, under uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM audits_erasure WHERE tenant_id = tenant AND state = 'running' AND (id = under OR under IS NULL))
        OR EXISTS (SELECT FROM audits_purge WHERE tenant_id = tenant AND state = 'running' AND (id = under OR under IS NULL))
$$;
CREATE OR REPLACE FUNCTION affidavit_refuse_unapproved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT affidavit_erases(NEW.tenant_id, NEW.under_id) THEN
        RAISE EXCEPTION 'no approved erasure runs under this number' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM audits_purge p WHERE p.tenant_id = NEW.tenant_id AND p.id = NEW.under_id) AND NEW.id >= rpad(
        lpad(to_hex((extract(epoch FROM now() - interval '184 days') * 1000)::bigint), 12, '0'), 32, '0')::uuid
    THEN
        RAISE EXCEPTION 'nothing younger than 184 days is purged' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM audits_hold h WHERE h.tenant_id = NEW.tenant_id AND h.released_at IS NULL AND (
            h.decision_id = NEW.id
            OR EXISTS (SELECT FROM traces_decisionpayload p JOIN tenants_subjectkey k
                           ON k.tenant_id = p.tenant_id AND k.id = p.subject_key_id
                        WHERE p.tenant_id = h.tenant_id AND p.id = NEW.id AND k.subject_hmac = h.subject_hmac)
            OR EXISTS (SELECT FROM audits_erasure e WHERE e.tenant_id = h.tenant_id AND e.id = NEW.under_id
                          AND e.subject_hmac = h.subject_hmac)
            OR EXISTS (SELECT FROM audits_caseitem i WHERE i.tenant_id = h.tenant_id AND i.case_id = h.case_id
                          AND i.decision_id = NEW.id)))
    THEN
        RAISE EXCEPTION 'a legal hold covers this record' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_jump AFTER INSERT OR UPDATE OF state ON audits_purge
    FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_jump('running', 'running>completed');
"""
BACK = """
DROP TRIGGER refuse_jump ON audits_purge;
CREATE OR REPLACE FUNCTION affidavit_erases(tenant uuid, under uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM audits_erasure WHERE tenant_id = tenant AND state = 'running' AND (id = under OR under IS NULL))
$$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audits", "0008_transfers"),
        ("tenants", "0003_erasure"),
        ("traces", "0013_erasure"),
    ]

    operations = [
        migrations.CreateModel(
            name='Purge',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('number', models.IntegerField(editable=False)),
                ('system', models.CharField(blank=True, max_length=200)),
                ('retention_class', models.CharField(max_length=40)),
                ('keep_days', models.IntegerField()),
                ('before', models.DateTimeField()),
                ('state', models.CharField(choices=[('running', 'Purging'), ('completed', 'Completed')], default='running', max_length=20)),
                ('removed', models.JSONField(default=dict)),
                ('held', models.IntegerField(default=0)),
                ('records_sha256', models.BinaryField(max_length=32, null=True)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('completed_at', models.DateTimeField(null=True)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'number'), name='purge_number_unique'), models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('tenant', 'system'), name='purge_one_at_a_time'), models.CheckConstraint(condition=models.Q(('keep_days__gte', 184)), name='purge_not_below_floor'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'completed'), _negated=True), models.Q(('completed_at__isnull', False), ('records_sha256__isnull', False)), _connector='OR'), name='purge_completed_whole')],
            },
        ),
        migrations.CreateModel(
            name='RetentionRule',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('system', models.CharField(blank=True, max_length=200)),
                ('retention_class', models.CharField(max_length=40)),
                ('floor_days', models.IntegerField()),
                ('keep_days', models.IntegerField()),
                ('set_by', models.CharField(max_length=200)),
                ('set_label', models.CharField(max_length=200)),
                ('set_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'system'), name='retention_system_unique'), models.CheckConstraint(condition=models.Q(('floor_days__gte', 184), ('keep_days__gte', models.F('floor_days'))), name='retention_not_below_floor')],
            },
        ),
        IsolateTable("RetentionRule", grants={"web": "SELECT, INSERT, UPDATE", "worker": "SELECT"}),
        IsolateTable("Purge", grants={"web": "SELECT", "worker": "SELECT, INSERT, UPDATE"}),
        migrations.RunSQL(GUARD, BACK),
    ]
