"""Django's settings, read from the environment once, failing loudly.

Everything a person may set is in :class:`Environment`; the rest of the module follows from it.
"""

from __future__ import annotations

import logging
import os
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONCE, NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from console import sign_in

BASE_DIR = Path(__file__).resolve().parent.parent


def _read_key(path: Path) -> str:
    """Return the key kept at ``path``, made on first use; nobody else may read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass  # another process of ours made it meanwhile
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
    key = path.read_text().strip()
    if len(key) < 32:
        raise ImproperlyConfigured(f"{path} holds no key of at least 32 characters; restore it from your backup.")
    return key


def _boolean(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return default if value == "" else value in ("1", "true", "yes", "on")
    raise ImproperlyConfigured(f"{name} is {value!r}; write true or false.")


def _mebibytes(name: str, *, default: int) -> int:
    value = os.environ.get(name, "").strip()
    if value and not (value.isascii() and value.isdigit() and len(value) <= 7):
        raise ImproperlyConfigured(f"{name} is {value!r}; write a number of MiB, as in 1024.")
    return int(value or default) * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a person may set, and nothing else."""

    data_dir: Path
    public_url: str
    redis_url: str
    database_url: str
    debug: bool
    log_format: str
    require_second_factor: str
    sign_in_file: str
    upload_limit: int
    faults: str
    hub_socket: str

    @classmethod
    def read(cls) -> Environment:
        """Read the process's environment. Raises ``ImproperlyConfigured`` with the variable's name."""
        log_format = os.environ.get("PILOTHOUSE_LOG_FORMAT", "text")
        if log_format not in ("text", "json"):
            raise ImproperlyConfigured(f"PILOTHOUSE_LOG_FORMAT is {log_format!r}; write text or json.")
        require_second_factor = os.environ.get("PILOTHOUSE_REQUIRE_SECOND_FACTOR", "nobody")
        if require_second_factor not in ("nobody", "admins", "everybody"):
            raise ImproperlyConfigured(
                f"PILOTHOUSE_REQUIRE_SECOND_FACTOR is {require_second_factor!r}; write nobody, admins or everybody."
            )
        public_url = os.environ.get("PILOTHOUSE_PUBLIC_URL", "http://127.0.0.1:8440").rstrip("/")
        parts = urlsplit(public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ImproperlyConfigured(
                f"PILOTHOUSE_PUBLIC_URL is {public_url!r}; write scheme, host and port, as in https://console.example.com."
            )
        return cls(
            data_dir=Path(os.environ.get("PILOTHOUSE_DATA_DIR", BASE_DIR / "var")).resolve(),
            public_url=public_url,
            redis_url=os.environ.get("PILOTHOUSE_REDIS_URL", ""),
            database_url=os.environ.get("DATABASE_URL", ""),
            debug=_boolean("PILOTHOUSE_DEBUG", default=False),
            log_format=log_format,
            require_second_factor=require_second_factor,
            sign_in_file=os.environ.get("PILOTHOUSE_SIGN_IN_FILE", ""),
            upload_limit=_mebibytes("PILOTHOUSE_UPLOAD_LIMIT", default=1024),
            faults=os.environ.get("PILOTHOUSE_FAULTS", ""),
            hub_socket=os.environ.get("PILOTHOUSE_HUB_SOCKET", ""),
        )


def _database(url: str, *, data_dir: Path) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": data_dir / "pilothouse.sqlite3",
            # IMMEDIATE: a transaction takes its write lock at the start, or waits; deferred ones fail under writers.
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000; "
                    "PRAGMA mmap_size=67108864; PRAGMA foreign_keys=ON;"
                ),
            },
            # A file, also under test: threads and processes of one test share it.
            "TEST": {"NAME": data_dir / "test.sqlite3"},
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(f"DATABASE_URL has the scheme {parts.scheme!r}; only postgresql:// is known.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "OPTIONS": {"connect_timeout": 3, **options},
        "CONN_HEALTH_CHECKS": True,
    }


ENVIRONMENT = Environment.read()
DATA_DIR = ENVIRONMENT.data_dir
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

#: Written in one place only.
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

DEBUG = ENVIRONMENT.debug
SECRET_KEY = _read_key(DATA_DIR / "keys" / "secret")
#: Encrypts credentials and operation arguments at rest; apart from SECRET_KEY so that either can be rotated alone.
ENCRYPTION_KEYS = [_read_key(DATA_DIR / "keys" / "encryption")]
#: Signs our labels on engine objects.
LABEL_KEY = _read_key(DATA_DIR / "keys" / "labels")

PUBLIC_URL = ENVIRONMENT.public_url
_public = urlsplit(PUBLIC_URL)
_hostname = _public.hostname or ""
_name = f"[{_hostname}]" if ":" in _hostname else _hostname
#: What every machine calls itself.
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
# Without TLS a browser on this machine may come straight; with it, only by way of what holds the certificate.
_answers_loopback = _public.scheme == "http" or _name in LOOPBACK_HOSTS
ALLOWED_HOSTS = [_name, *(name for name in LOOPBACK_HOSTS if _answers_loopback and name != _name)]
_port = f":{_public.port}" if _public.port else ""
#: Exact origins that sockets and unsafe requests may come from.
ALLOWED_ORIGINS = [f"{_public.scheme}://{name}{_port}" for name in ALLOWED_HOSTS]
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS

ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FAULTS = ENVIRONMENT.faults
#: Bytes of one file that somebody may put into a container.
UPLOAD_LIMIT = ENVIRONMENT.upload_limit

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "django_structlog",
    "console.lib",
    "console.accounts",
    "console.rbac",
    "console.audit",
    "console.hosts",
    "console.inventory",
    "console.policies",
    "console.people",
    "console.operations",
    "console.containers",
    "console.recordings",
    "console.terminals",
    "console.logs",
    "console.overview",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "console.lib.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before all that may fail or refuse, so that each answer but static files has an id in the log.
    "django_structlog.middlewares.RequestMiddleware",
    "csp.middleware.CSPMiddleware",
    "console.lib.middleware.LocalProbes",
    # Before all that reads or sets a cookie.
    "console.accounts.middleware.Tokens",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "console.accounts.middleware.Authentication",
    "console.accounts.middleware.PreferredLanguage",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "console.lib.bodies.RefuseLargeBody",
    "console.lib.bodies.RefuseForeignBody",
    "allauth.account.middleware.AccountMiddleware",
    "console.accounts.middleware.SignedIn",
    "console.accounts.middleware.Unconfirmed",
    "console.audit.middleware.TokenLimits",
    "console.audit.middleware.Refusals",
    "console.lib.middleware.WrongMethods",
    "console.lib.middleware.BackendErrors",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.lib.context.frame",
                "console.hosts.context.host_filter",
                "console.rbac.context.permissions",
            ],
        },
    }
]

DATABASES = {"default": _database(ENVIRONMENT.database_url, data_dir=DATA_DIR)}

# Rate limits and the like live in the database: they must hold while Redis is away.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # The default of 300 rows would throw heartbeats and counts of attempts away.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

#: Where the stream hub answers.
HUB_SOCKET = Path(ENVIRONMENT.hub_socket) if ENVIRONMENT.hub_socket else DATA_DIR / "hub" / "hub.sock"

#: Where the hub keeps logs.
LOGS_DIR = DATA_DIR / "logs"

REDIS_URL = ENVIRONMENT.redis_url or f"unix://{DATA_DIR / 'redis' / 'redis.sock'}"

CHANNEL_LAYERS = {
    "default": {
        # Signals only, never data: its queues are unbounded.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1}],
            "prefix": "pilothouse",
        },
    }
}

_celery_redis_url = (
    "redis+socket://" + REDIS_URL.removeprefix("unix://") if REDIS_URL.startswith("unix://") else REDIS_URL
)
CELERY_BROKER_URL = _celery_redis_url

# People

# Of those with our passwords one is enough: allauth's is Django's own with names in any case.
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    # For those whose password is kept in a directory, when there is one.
    "console.accounts.backends.DirectoryBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
ACCOUNT_ADAPTER = "console.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "api_token": "30/m/ip",
    "single_sign_on": "60/m/ip",
}
#: The ways to sign in that are not passwords of ours.
SIGN_IN = sign_in.read(Path(ENVIRONMENT.sign_in_file).resolve()) if ENVIRONMENT.sign_in_file else sign_in.SignIn()
SOCIALACCOUNT_ADAPTER = "console.accounts.oidc.ProviderRequests"
ALLAUTH_TRUSTED_PROXY_COUNT = 0
MFA_ADAPTER = "console.accounts.adapter.SecondFactorAdapter"
MFA_RECOVERY_CODE_DIGITS = 10
#: Of whom a second factor is wanted: nobody, admins or everybody.
REQUIRE_SECOND_FACTOR = ENVIRONMENT.require_second_factor
# console.accounts.middleware.SignedIn keeps the list: allauth would write a row with every request.
USERSESSIONS_TRACK_ACTIVITY = False
SESSION_COOKIE_AGE = 14 * 24 * 3600

# The browser

_secure = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "__Host-session" if _secure else "pilothouse_session"
CSRF_COOKIE_NAME = "__Host-csrf" if _secure else "pilothouse_csrf"
CSRF_COOKIE_HTTPONLY = False
CSRF_FAILURE_VIEW = "console.lib.problems.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _secure else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _secure else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "worker-src": [SELF],
        # xterm.js sets styles of its own on elements.
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Language, time, static files

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "console.lib.staticfiles.Storage"},
}

DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
# Its look-up believes X-Forwarded-For; console.lib.logs adds the connection's address.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False

LOGGING_CONFIG = None  # console.lib.logs sets up structlog for every process alike
