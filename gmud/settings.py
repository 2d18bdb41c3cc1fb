"""Django's settings. What differs between installations comes from the environment (see docs/operate.md)."""

import os
import secrets
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from gmud.env import DATA, ROOT, env
from gmud.logs import configure
from gmud.smtp import options as smtp_options
from releases.accounts.openid.groups import mapping

DATA.mkdir(parents=True, exist_ok=True, mode=0o700)
# Production: gmud/strict.py refuses to start what must not be reached by others.
GMUD_STRICT = env.bool("GMUD_STRICT", default=False)


def _secret(name: str) -> str:
    """Return the secret from the environment, else from a file that is made at first start (mode 0600)."""
    given = env.str(name, default="")
    if given:
        return str(given)
    if GMUD_STRICT:
        return secrets.token_urlsafe(64)  # refused at start; commands that sign nothing may go on
    place = DATA / f"{name.lower()}.secret"
    if not place.exists():
        draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        with suppress(FileExistsError):  # of two processes that start at once, the first one's secret stays
            os.link(draft, place)
        draft.unlink()
    return place.read_text()


DEBUG = env.bool("GMUD_DEBUG", default=False)
GMUD_DEMO = env.bool("GMUD_DEMO", default=False)
SECRET_KEY = _secret("GMUD_SECRET_KEY")
ALLOWED_HOSTS: list[str] = env.list("GMUD_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PUBLIC_URL = env.str("GMUD_PUBLIC_URL", default="http://localhost:8000")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "releases.apps.ReleasesConfig",
    "gmud.celery.HouseConfig",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_cotton.apps.SimpleAppConfig",
    "template_partials.apps.SimpleAppConfig",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    *(["gmud.demo"] if GMUD_DEMO else []),
]
MIDDLEWARE = [
    "releases.web.health.Probes",
    "releases.web.requests.Requests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "releases.web.middleware.ErrorPages",
]
ROOT_URLCONF = "gmud.urls"
WSGI_APPLICATION = "gmud.wsgi.application"
AUTH_USER_MODEL = "releases.User"
AUTHENTICATION_BACKENDS = ["releases.accounts.backends.PersonBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "today"
LOGOUT_REDIRECT_URL = "sign-in"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django_cotton.cotton_loader.Loader",
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": [
                "django_cotton.templatetags.cotton",
                "template_partials.templatetags.partials",
                "django.templatetags.i18n",
                "django.templatetags.static",
                "django.templatetags.tz",
                "releases.web.tags",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

COTTON_ISOLATE_BY_DEFAULT = True  # a component sees what it is given, nothing else
CSRF_FAILURE_VIEW = "releases.web.errors.no_token"
# A message's level is its tone.
MESSAGE_TAGS = {10: "info", 20: "info", 25: "go", 30: "wait", 40: "stop"}

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA / 'gmud.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 10,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;",
    }
else:
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),  # such as sslmode=verify-full in the address
        "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000",
    }
if TEST_DATABASE := env.str("GMUD_TEST_DB", default=""):
    DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}
REDIS_URL = env.str("REDIS_URL", default=f"redis+socket://{DATA / 'broker.sock'}")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Signing in (docs/decisions): allauth proves, the house decides and records. Its own pages are not reachable.
GMUD_SESSION_HOURS = env.float("GMUD_SESSION_HOURS", default=12.0)
SESSION_ENGINE = "releases.accounts.backends"  # under a digest of their keys
SESSION_COOKIE_AGE = int(GMUD_SESSION_HOURS * 3600)
GMUD_OIDC_ISSUER = env.str("GMUD_OIDC_ISSUER", default="")
GMUD_OIDC_CLIENT_ID = env.str("GMUD_OIDC_CLIENT_ID", default="")
GMUD_OIDC_CLIENT_SECRET = env.str("GMUD_OIDC_CLIENT_SECRET", default="")
GMUD_OIDC_NAME = env.str("GMUD_OIDC_NAME", default="OpenID Connect")
GMUD_OIDC_SCOPES = env.str("GMUD_OIDC_SCOPES", default="openid profile email").split()
GMUD_OIDC_GROUPS_CLAIM = env.str("GMUD_OIDC_GROUPS_CLAIM", default="groups")
try:
    GMUD_OIDC_ROLES = mapping(env.str("GMUD_OIDC_ROLES", default=""))
except ValueError as error:
    raise ImproperlyConfigured(f"GMUD_OIDC_ROLES: {error}") from error
GMUD_OIDC_REGISTER = env.bool("GMUD_OIDC_REGISTER", default=False)
# Passwords only where there is no provider, unless somebody says so.
GMUD_PASSWORDS = env.bool("GMUD_PASSWORDS", default=not GMUD_OIDC_ISSUER)
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("GMUD_TRUSTED_PROXIES", default=0)
ACCOUNT_ADAPTER = "releases.web.sign_in.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_TIMEOUT = 300  # between the first proof and the second, in seconds
ACCOUNT_RATE_LIMITS = False  # ours are in the database: releases/accounts/limits.py
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
MFA_ADAPTER = "releases.accounts.adapters.FactorAdapter"
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False
MFA_RECOVERY_CODE_DIGITS = 10
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_WEBAUTHN_USER_VERIFICATION = "required"
SOCIALACCOUNT_ADAPTER = "releases.web.sign_in.adapters.ProviderAdapter"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {"provider_class": "releases.web.sign_in.provider.Provider", "OAUTH_PKCE_ENABLED": True}
}
SOCIALACCOUNT_UID_MAX_LENGTH = 255
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt-br", "Português (Brasil)")]
LOCALE_PATHS = [ROOT / "locale"]
TIME_ZONE = env.str("GMUD_TIME_ZONE", default="America/Sao_Paulo")
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [ROOT / "static"]
STATIC_ROOT = env.str("GMUD_STATIC", default=str(DATA / "static"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["releases.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["releases.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "releases.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "GMUD",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Where fields of one name have several sets of values, each set is named for what it says.
    "ENUM_NAME_OVERRIDES": {
        "ChangeOutcomeEnum": "releases.api.serializers.OUTCOMES",
        "ChangeStateEnum": "releases.api.serializers.STATES",
        "DeploymentStateEnum": "releases.api.deployments.STATES",
        "ReportedOutcomeEnum": "releases.api.deployments.OUTCOMES",
        "RunActEnum": "releases.api.deployments.ACTS",
        "WishEnum": "releases.api.deployments.WISHES",
    },
}

# Who may read /metrics without a token: networks of callers. A request that a proxy passed on is never one of them.
GMUD_METRICS_NETWORKS: list[str] = env.list("GMUD_METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"])
# Lease and sweep of durable work (design/trust.md, section 4), in seconds.
GMUD_LEASE_SECONDS = env.float("GMUD_LEASE_SECONDS", default=30.0)
GMUD_SWEEP_SECONDS = env.float("GMUD_SWEEP_SECONDS", default=5.0)
# How long a release is watched, with the warrant to go back alive, in seconds.
GMUD_WATCH_SECONDS = env.float("GMUD_WATCH_SECONDS", default=3600.0)
# How long health is judged before traffic goes on, in seconds.
GMUD_VERDICT_SECONDS = env.float("GMUD_VERDICT_SECONDS", default=60.0)
# How long health must hold after a rollback, in seconds.
GMUD_VERIFY_SECONDS = env.float("GMUD_VERIFY_SECONDS", default=30.0)
# Where letters are handed over, and from whom they come; without both, nobody is told by e-mail.
GMUD_SMTP = smtp_options(env.str("GMUD_SMTP_URL", default=""))
GMUD_MAIL_FROM = env.str("GMUD_MAIL_FROM", default="")
# How long a page waits to be taken before the next ones are called, in seconds.
GMUD_ESCALATE_SECONDS = env.float("GMUD_ESCALATE_SECONDS", default=600.0)
# How often the sealer's process verifies the whole record, in seconds.
GMUD_AUDIT_SECONDS = env.float("GMUD_AUDIT_SECONDS", default=86400.0)
# Where the witness keeps its copy of the checkpoints: outside the database.
GMUD_WITNESS_FILE = env.str("GMUD_WITNESS_FILE", default=str(DATA / "witness" / "checkpoints.jsonl"))
# Folder of Ed25519 keys (permits, checkpoints) and of the key ring that encrypts connection secrets, mode 0600.
GMUD_KEYS = env.str("GMUD_KEYS", default=str(DATA / "keys"))
# Folder of PEM files that connections may name: authorities to trust, certificates to show. Without it, none.
GMUD_CERTIFICATES = env.str("GMUD_CERTIFICATES", default="")
# Where the kubelet mounts the token and the authority of the pod's service account.
GMUD_SERVICE_ACCOUNT = env.str("GMUD_SERVICE_ACCOUNT", default="/var/run/secrets/kubernetes.io/serviceaccount")

# The C library's resolver waits 10 s and longer for a name server that is away, and nothing can interrupt it: it gets a
# short limit of its own, so that a call to the outside keeps its 20 s (design/trust.md, section 5).
os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")

# Celery is the doorbell, the database is the queue (design/trust.md, section 4): messages carry an id and nothing else.
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
    "global_keyprefix": "gmud:",
}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_QUEUES: Any = {name: {} for name in ("rollback", "deploy", "notify", "default")}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# One process, one task: a process that forks must not hold connections or threads (docs/decisions/0007).
CELERY_WORKER_POOL = "solo"
# A lost broker is noticed between two tasks, so there is none to cancel; saying so keeps the log calm.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": GMUD_SWEEP_SECONDS, "options": {"expires": GMUD_SWEEP_SECONDS}}
    for name in ("sweep", "changes_due", "answers_due")
}
# What time alone brings to tell; nobody is told the second it becomes true.
CELERY_BEAT_SCHEDULE["notices_due"] = {
    "task": "notices_due",
    "schedule": 30.0,
    "options": {"expires": 30.0, "queue": "notify"},
}

# Error budgets are read once a minute; what is not read for a quarter of an hour is not known.
CELERY_BEAT_SCHEDULE["budgets_due"] = {
    "task": "budgets_due",
    "schedule": 60.0,
    "options": {"expires": 60.0, "queue": "default"},
}
# Routes are looked at once in this time, a little earlier or later each; what was seen is kept for so many days.
GMUD_READ_TRAFFIC_SECONDS = max(env.float("GMUD_READ_TRAFFIC_SECONDS", default=60.0), 4.0)
GMUD_READINGS_DAYS = env.int("GMUD_READINGS_DAYS", default=90)
CELERY_BEAT_SCHEDULE["readings_due"] = {
    "task": "readings_due",
    "schedule": GMUD_READ_TRAFFIC_SECONDS / 4,
    "options": {"expires": GMUD_READ_TRAFFIC_SECONDS / 4, "queue": "default"},
}
CELERY_BEAT_SCHEDULE["readings_thin"] = {
    "task": "readings_thin",
    "schedule": 3600.0,
    "options": {"expires": 3600.0, "queue": "default"},
}

LOGGING_CONFIG = None
configure(
    secrets=[
        SECRET_KEY,
        DATABASES["default"].get("PASSWORD") or "",
        urlsplit(REDIS_URL).password or "",
        GMUD_OIDC_CLIENT_SECRET,
    ]
)
