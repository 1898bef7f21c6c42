from django.db import migrations

from console.recordings import index


def install(_apps, schema_editor):
    index.install(schema_editor.connection)


def remove(_apps, schema_editor):
    index.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [("recordings", "0001_initial")]

    operations = [migrations.RunPython(install, remove)]
