from django.db import migrations


def write_anew(apps, _schema_editor):
    """Have watch write every container again with its next list: what each uses has rows of its own now."""
    apps.get_model("inventory", "ObservedContainer").objects.update(fingerprint="")


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0002_volumes_and_networks'),
    ]

    operations = [migrations.RunPython(write_anew, migrations.RunPython.noop)]
