"""Legal holds, and what the database itself refuses to let go while one lives."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.db import migrations, models

from tenants.isolation import IsolateTable

# A filter's records only the service knows; the others are refused here too.
GUARD = """
CREATE OR REPLACE FUNCTION affidavit_refuse_unapproved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT affidavit_erases(NEW.tenant_id, NEW.under_id) THEN
        RAISE EXCEPTION 'no approved erasure runs under this number' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM audits_hold h WHERE h.tenant_id = NEW.tenant_id AND h.released_at IS NULL AND (
            h.decision_id = NEW.id
            OR EXISTS (SELECT FROM audits_erasure e WHERE e.tenant_id = h.tenant_id AND e.id = NEW.under_id
                          AND e.subject_hmac = h.subject_hmac)
            OR EXISTS (SELECT FROM audits_caseitem i WHERE i.tenant_id = h.tenant_id AND i.case_id = h.case_id
                          AND i.decision_id = NEW.id)))
    THEN
        RAISE EXCEPTION 'a legal hold covers this record' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
BACK = """
CREATE OR REPLACE FUNCTION affidavit_refuse_unapproved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT affidavit_erases(NEW.tenant_id, NEW.under_id) THEN
        RAISE EXCEPTION 'no approved erasure runs under this number' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audits", "0004_erasure"),
        ("tenants", "0003_erasure"),
        ("traces", "0013_erasure"),
    ]

    operations = [
        migrations.AddField(
            model_name='erasure',
            name='held_by',
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('number', models.IntegerField(editable=False)),
                ('scope', models.CharField(choices=[('record', 'One record'), ('query', 'Every record that a filter finds'), ('subject', "One person's records"), ('case', 'The records of a case')], max_length=10)),
                ('query', models.BinaryField(default=bytes)),
                ('subject_hmac', models.BinaryField(max_length=32, null=True)),
                ('sealed_subject', models.BinaryField(default=bytes)),
                ('reason', models.CharField(max_length=500)),
                ('review_on', models.DateField(null=True)),
                ('placed_by', models.CharField(max_length=200)),
                ('placed_label', models.CharField(max_length=200)),
                ('placed_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('released_by', models.CharField(blank=True, max_length=200)),
                ('released_label', models.CharField(blank=True, max_length=200)),
                ('released_at', models.DateTimeField(null=True)),
                ('release_reason', models.CharField(blank=True, max_length=500)),
                ('case', tenants.models.base.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='audits.case')),
                ('decision', tenants.models.base.TenantForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='traces.decision')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'hold',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('released_at', None)), fields=['tenant', 'number'], name='hold_live')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'number'), name='hold_number_unique'), models.CheckConstraint(condition=models.Q(models.Q(('decision__isnull', False), ('scope', 'record')), models.Q(('scope', 'query'), models.Q(('query', b''), _negated=True)), models.Q(('scope', 'subject'), ('subject_hmac__isnull', False)), models.Q(('case__isnull', False), ('scope', 'case')), _connector='OR'), name='hold_covers_something'), models.CheckConstraint(condition=models.Q(('released_by', models.F('placed_by')), _negated=True), name='hold_released_by_another'), models.CheckConstraint(condition=models.Q(models.Q(('release_reason', ''), ('released_at__isnull', True), ('released_by', '')), models.Q(('released_at__isnull', False), models.Q(('released_by', ''), _negated=True), models.Q(('release_reason', ''), _negated=True)), _connector='OR'), name='hold_released_whole')],
            },
        ),
        IsolateTable("Hold", grants={"web": "SELECT, INSERT, UPDATE", "worker": "SELECT"}),
        migrations.RunSQL(GUARD, BACK),
    ]
