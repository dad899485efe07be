"""Meaning: embeddings and their queue, assessments, feedback, and the words that go with the content."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
import traces.models.meaning
from django.db import migrations, models

from tenants.isolation import IsolateTable


# Vectors live beside the row, so that a look at the signs of 200,000 rows reads 50 MB, not 700. Two of them are longer
# than the 2 kB from which PostgreSQL moves values out; halved to float16 they would stay.
APART = """
ALTER TABLE traces_embedding SET (toast_tuple_target = 128);
ALTER TABLE traces_embedding ALTER COLUMN asked SET STORAGE EXTERNAL, ALTER COLUMN answered SET STORAGE EXTERNAL,
    ALTER COLUMN asked_signs SET STORAGE PLAIN, ALTER COLUMN answered_signs SET STORAGE PLAIN;
"""
# An embedding tells what a text was about: it goes when the content goes, or the key that it was sealed under. The lock
# is the other half of `traces.meaning.embedding.store`: content that goes while it is being embedded leaves nothing.
FORGET = """
CREATE FUNCTION affidavit_forget_meaning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('meaning ' || OLD.tenant_id, 0));
    DELETE FROM traces_embedding WHERE tenant_id = OLD.tenant_id AND id = OLD.id;
    DELETE FROM traces_remark WHERE tenant_id = OLD.tenant_id AND decision_id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER forget_meaning AFTER DELETE ON traces_decisionpayload
    FOR EACH ROW EXECUTE FUNCTION affidavit_forget_meaning();
CREATE FUNCTION affidavit_forget_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('meaning ' || OLD.tenant_id, 0));
    DELETE FROM traces_embedding WHERE tenant_id = OLD.tenant_id AND subject_key_id = OLD.id;
    DELETE FROM traces_remark WHERE tenant_id = OLD.tenant_id AND subject_key_id = OLD.id;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER forget_subject BEFORE DELETE OR UPDATE OF wrapped ON tenants_subjectkey
    FOR EACH ROW EXECUTE FUNCTION affidavit_forget_subject();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0001_initial"),
        ("traces", "0006_marks_and_search"),
    ]

    operations = [
        migrations.CreateModel(
            name="MeaningQueue",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "work", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("work", models.SmallIntegerField(choices=[(1, "Embed and assess"), (2, "Ask the judge")])),
                ("id", models.UUIDField()),
                ("tried", models.SmallIntegerField(db_default=0, default=0)),
                (
                    "tenant",
                    tenants.models.base.OwnerKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Assessment",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("decision_id", models.UUIDField()),
                ("evaluator", models.CharField(max_length=60)),
                ("version", models.CharField(max_length=100)),
                ("score", models.FloatField(null=True)),
                ("label", models.CharField(max_length=60)),
                ("figures", models.JSONField(default=dict)),
                ("cost_micros", models.BigIntegerField(null=True)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("took_us", models.BigIntegerField()),
                ("assessed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
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
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "decision_id", "evaluator", "version"), name="assessment_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Embedding",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("occurred_at", models.DateTimeField()),
                ("version", models.SmallIntegerField()),
                ("asked_digest", models.BinaryField(max_length=16, null=True)),
                ("answered_digest", models.BinaryField(max_length=16, null=True)),
                ("asked_signs", traces.models.meaning.SignField(null=True)),
                ("answered_signs", traces.models.meaning.SignField(null=True)),
                ("asked", models.BinaryField(null=True)),
                ("answered", models.BinaryField(null=True)),
                (
                    "deployment",
                    tenants.models.base.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="traces.deployment",
                    ),
                ),
                (
                    "subject_key",
                    tenants.models.base.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.subjectkey",
                    ),
                ),
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
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["tenant", "occurred_at", "id"], name="embedding_time"),
                    models.Index(fields=["tenant", "deployment", "occurred_at", "id"], name="embedding_deployment"),
                    models.Index(fields=["tenant", "asked_digest"], name="embedding_asked"),
                    models.Index(fields=["tenant", "answered_digest"], name="embedding_answered"),
                    models.Index(fields=["tenant", "subject_key"], name="embedding_subject"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Feedback",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("decision_id", models.UUIDField()),
                ("name", models.CharField(max_length=60)),
                ("label", models.CharField(blank=True, max_length=60)),
                ("score", models.FloatField(null=True)),
                ("given_by", models.CharField(blank=True, max_length=200)),
                ("actor", models.CharField(max_length=200)),
                ("has_comment", models.BooleanField()),
                ("supersedes_id", models.UUIDField(null=True)),
                ("request_id", models.UUIDField(null=True)),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("given_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
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
                "verbose_name": "feedback",
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["tenant", "decision_id", "id"], name="feedback_decision"),
                    models.Index(fields=["tenant", "label", "decision_id"], name="feedback_label"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("supersedes_id__isnull", False)),
                        fields=("tenant", "supersedes_id"),
                        name="feedback_superseded_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("request_id__isnull", False)),
                        fields=("tenant", "request_id"),
                        name="feedback_request",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("score__isnull", False),
                            models.Q(("label", ""), _negated=True),
                            ("has_comment", True),
                            _connector="OR",
                        ),
                        name="feedback_says_something",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Remark",
            fields=[
                (
                    "id",
                    models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False),
                ),
                ("decision_id", models.UUIDField()),
                ("sealed", models.BinaryField()),
                (
                    "subject_key",
                    tenants.models.base.TenantForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.subjectkey",
                    ),
                ),
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
                "abstract": False,
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant", "decision_id"], name="remark_decision")],
            },
        ),
        IsolateTable("Assessment", append_only=True),
        IsolateTable("Embedding"),
        IsolateTable("Feedback", append_only=True),
        IsolateTable("MeaningQueue", grants={"ingest": "INSERT"}),
        IsolateTable("Remark"),
        migrations.RunSQL(APART, migrations.RunSQL.noop),
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
    ]
