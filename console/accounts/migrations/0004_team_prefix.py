from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from console.accounts.models import free_prefix


def choose(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    taken: set[str] = set()
    for team in apps.get_model("accounts", "Team").objects.order_by("created_at"):
        team.prefix = free_prefix(team.name, taken=taken)
        team.save(update_fields=["prefix"])
        taken.add(team.prefix)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_teams'),
    ]

    operations = [
        migrations.AddField(
            model_name='team',
            name='prefix',
            field=models.CharField(default='', editable=False, max_length=24),
            preserve_default=False,
        ),
        migrations.RunPython(choose, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='team',
            name='prefix',
            field=models.CharField(editable=False, max_length=24, unique=True),
        ),
    ]
