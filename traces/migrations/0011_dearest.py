"""Users and sessions ranked by what they cost today, restatements in it, everywhere and in one deployment."""

from django.db import migrations, models

DEAREST_FIRST = models.OrderBy(models.F('cost_micros') + models.F('restated_micros'), descending=True)


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0010_thumbs'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='subjectrollup', name='subject_rollup_dearest'),
        migrations.AddIndex(
            model_name='subjectrollup',
            index=models.Index(
                models.F('tenant'), models.F('kind'), models.F('grain'), models.F('currency'), models.F('bucket'), DEAREST_FIRST,
                condition=models.Q(('grain__gt', 1)), name='subject_rollup_dearest',
            ),
        ),
        migrations.AddIndex(
            model_name='subjectrollup',
            index=models.Index(
                models.F('tenant'), models.F('kind'), models.F('grain'), models.F('deployment'), models.F('currency'), models.F('bucket'), DEAREST_FIRST,
                condition=models.Q(('grain__gt', 1)), name='subject_rollup_dearest_in',
            ),
        ),
    ]
