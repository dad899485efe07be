"""Marks on the timeline, links to other tools, saved views, and the index of keyed words with its queue."""

import django.db.models.deletion
import django.utils.timezone
import tenants.ids
import tenants.models.base
from django.conf import settings
from django.db import migrations, models

from tenants.isolation import IsolateTable

# Words go when content goes, whoever removes it; of content that came apart from its span, those of its decision.
FORGET = """
CREATE FUNCTION affidavit_forget_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM traces_searchtoken WHERE tenant_id = OLD.tenant_id AND id = OLD.id;
    DELETE FROM traces_searchqueue WHERE tenant_id = OLD.tenant_id AND id = OLD.id;
    DELETE FROM traces_searchtoken WHERE tenant_id = OLD.tenant_id AND id IN (
        SELECT d.id FROM traces_spancontent c
          JOIN traces_decision d ON d.tenant_id = c.tenant_id AND d.trace_id = c.trace_id AND d.span_id = c.span_id
         WHERE c.tenant_id = OLD.tenant_id AND c.id = OLD.id);
    RETURN OLD;
END $$;
CREATE TRIGGER forget_words AFTER DELETE ON traces_decisionpayload
    FOR EACH ROW EXECUTE FUNCTION affidavit_forget_words();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0005_drift'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SearchQueue',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('id', models.UUIDField()),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ApmLink',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('kind', models.CharField(max_length=20)),
                ('template', models.CharField(max_length=1000)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'link',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'name'), name='apm_link_name_unique'), models.CheckConstraint(condition=models.Q(('template__startswith', 'https://')), name='apm_link_https')],
            },
        ),
        migrations.CreateModel(
            name='Mark',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('deployment', 'Deployment'), ('prompt_release', 'Prompt release'), ('incident', 'Incident'), ('config_change', 'Configuration change'), ('infrastructure', 'Infrastructure')], max_length=20)),
                ('title', models.CharField(max_length=200)),
                ('occurred_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('external_id', models.CharField(blank=True, max_length=200)),
                ('system', models.CharField(blank=True, max_length=200)),
                ('environment', models.CharField(blank=True, max_length=100)),
                ('instance', models.CharField(blank=True, max_length=200)),
                ('version', models.CharField(blank=True, max_length=200)),
                ('url', models.CharField(blank=True, max_length=500)),
                ('detail', models.TextField(blank=True)),
                ('fingerprint', models.BinaryField(max_length=32)),
                ('source', tenants.models.base.TenantForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.sourcesystem')),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'event',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'occurred_at', 'id'], name='mark_time')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('tenant', 'source', 'external_id'), name='mark_external_id_unique'), models.CheckConstraint(condition=models.Q(('ended_at', None), ('ended_at__gte', models.F('occurred_at')), _connector='OR'), name='mark_ends_after_it_began')],
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.UUIDField(default=tenants.ids.uuid7_now, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80)),
                ('query', models.CharField(max_length=2000)),
                ('is_shared', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', tenants.models.base.OwnerKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'view',
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'owner', 'name'), name='saved_view_name_unique')],
            },
        ),
        migrations.CreateModel(
            name='SearchToken',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'token', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('token', models.BigIntegerField()),
                ('id', models.UUIDField()),
                ('tenant', tenants.models.base.OwnerKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        IsolateTable("ApmLink"),
        IsolateTable("Mark", append_only=True),
        IsolateTable("SavedView"),
        IsolateTable("SearchQueue", grants={"ingest": "INSERT"}),
        IsolateTable("SearchToken", partitioned=True),
        migrations.AddIndex(
            model_name='searchtoken',
            index=models.Index(fields=['tenant', 'id'], name='search_token_decision'),
        ),
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
    ]
