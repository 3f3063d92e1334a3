"""A Django of its own with users of each of its hashers; prints what dumpdata writes, in the format that the argument names."""

import sys

import django
from django.conf import settings
from django.core.management import call_command

hashers = {
    "pbkdf2_sha256": "PBKDF2PasswordHasher",
    "pbkdf2_sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher",
    "bcrypt_sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher",
}
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers." + name for name in hashers.values()],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402

for name in hashers:
    User(username=name, password=make_password("old pass phrase of " + name, hasher=name)).save()
User.objects.create_user("nobody", first_name="No", last_name="Password")
User.objects.create_user("gone", password="old pass phrase of gone", is_active=False)
call_command("dumpdata", "auth.user", "auth.permission", format=sys.argv[1])
