"""A tenant's own limits at the API. Only the owner of the tables sets them: the web's role cannot lift what binds it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0003_erasure'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='records_per_second',
            field=models.PositiveIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='tenant',
            name='requests_per_second',
            field=models.PositiveIntegerField(blank=True, editable=False, null=True),
        ),
    ]
