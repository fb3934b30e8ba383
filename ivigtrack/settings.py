"""Settings, all from the environment; docs/settings.md lists each with its default.

Nothing need be set for a local run: the database is SQLite in var/, the secret key is made once and kept there.
"""

from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.conf.locale import LANG_INFO
from django.core.management.utils import get_random_secret_key

from ivigtrack.beat import Steady
from ivigtrack.languages import compiled, sources

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

VAR_DIR = Path(env.str("IVIGTRACK_VAR", default=str(BASE_DIR / "var")))


def _kept(name: str, make: Callable[[], str]) -> str:
    """What was made at random at the first start and is kept in var/, so that no default secret exists anywhere."""
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    kept = VAR_DIR / name
    try:
        with kept.open("x") as file:
            kept.chmod(0o600)
            file.write(make())
    except FileExistsError:
        pass
    return kept.read_text()


DEBUG = env.bool("DEBUG", default=False)
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
HTTPS = SITE_URL.startswith("https://")
# Only this machine is served. Everywhere else ivigtrack/fitness.py asks for more.
IS_LOCAL = urlsplit(SITE_URL).hostname in {"127.0.0.1", "localhost", "::1"}
SECRET_KEY = env.str("SECRET_KEY", default="") or _kept("secret-key", get_random_secret_key)
SECRET_KEY_IS_SET = bool(env.str("SECRET_KEY", default=""))
# The first seals what names a person, and all open it (patients/sealing). Only where this machine alone is served is a
# key made at the first start.
FIELD_KEYS = env.list("IVIGTRACK_FIELD_KEYS", default=[])
if IS_LOCAL and not FIELD_KEYS:
    FIELD_KEYS = [_kept("field-key", lambda: token_urlsafe(32))]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
ALLOWED_HOSTS_ARE_SET = bool(env.list("ALLOWED_HOSTS", default=[]))
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "ivigtrack.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "patients.apps.PatientsConfig",
    "reactions.apps.ReactionsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "ivigtrack.middleware.headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "ivigtrack.middleware.kept_nowhere",
    "ivigtrack.middleware.trail",
    "ivigtrack.middleware.session_that_ends",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "ivigtrack.middleware.SecondStep",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ivigtrack.middleware.saved_mark",
    "ivigtrack.middleware.clinic_time_zone",
    "ivigtrack.middleware.VoidedMeanwhile",
]

ROOT_URLCONF = "ivigtrack.urls"
WSGI_APPLICATION = "ivigtrack.wsgi.application"

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
                "reactions.context.waiting",
            ],
        },
    },
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'ivigtrack.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Without the write lock taken at the start and a wait for it, concurrent writers fail with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "patients.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "patients.signing_in.passwords.NotOfHereValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
# How long an invitation's link works.
PASSWORD_RESET_TIMEOUT = 3 * 24 * 60 * 60
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "patients:list"
LOGOUT_REDIRECT_URL = "account_login"

# django-allauth: staff sign in by name, with a second step. What else it can do is not served (ivigtrack/urls.py).
ACCOUNT_ADAPTER = "patients.signing_in.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"login": "patients.forms.sign_in.SignInForm"}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = False
# By name and address together (patients/signing_in/adapters.py): nobody locks out the clinic that shares an address.
ACCOUNT_RATE_LIMITS = {"login": "", "login_failed": "5/5m/key"}
ACCOUNT_REAUTHENTICATION_METHODS = {"mfa"}
ACCOUNT_USER_DISPLAY = "patients.signing_in.adapters.name_of"
MFA_ADAPTER = "patients.signing_in.adapters.SecondStepAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "patients.forms.sign_in.CodeForm",
    "reauthenticate": "patients.forms.sign_in.CodeAgainForm",
    "activate_totp": "patients.forms.sign_in.FirstCodeForm",
}
MFA_ALLOW_UNVERIFIED_EMAIL = True
# A passkey is both steps in one, so it asks for a finger, a face or a PIN.
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = IS_LOCAL
# The code before and the next one are taken too: clocks of phones differ.
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
# By address alone ten sign-ins with a passkey in a minute would keep a whole clinic out; there is no secret to guess.
MFA_RATE_LIMITS = {"webauthn_login": ""}
# For a demonstration on this machine alone; ivigtrack/fitness.py refuses it elsewhere.
SECOND_STEP_REQUIRED = not env.bool("IVIGTRACK_WITHOUT_SECOND_STEP", default=False)
# Attempts and used codes are counted here, where every web process sees them, with room for so many that trying other
# names makes none forgotten.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "ivigtrack_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

LANGUAGE_CODE = "en-us"
# Staff read English. Patients read theirs: English, and each language that has a file here.
LOCALE_DIR = BASE_DIR / "ivigtrack" / "locale"
LOCALE_PATHS = [compiled(LOCALE_DIR, VAR_DIR / "locale")]
LANGUAGES = [(code, LANG_INFO[code]["name_local"]) for code in ["en", *sources(LOCALE_DIR)]]
TIME_ZONE = "UTC"
USE_I18N = True
# One form of dates everywhere, the admin included.
FORMAT_MODULE_PATH = "ivigtrack.formats"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "ivigtrack" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
# In development the files are served from where they lie; otherwise from `collectstatic`.
WHITENOISE_USE_FINDERS = DEBUG

# What a page says after saving may name a result: it stays on the server.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="smtp://127.0.0.1:1025")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG["EMAIL_HOST"]
EMAIL_PORT = EMAIL_CONFIG["EMAIL_PORT"]
EMAIL_HOST_USER = EMAIL_CONFIG["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
# Seconds for each step of speaking to the mail server.
EMAIL_TIMEOUT = env.int("IVIGTRACK_MAIL_TIMEOUT_S", default=20)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="check-in@clinic.example")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
UNSUBSCRIBE_ADDRESS = env.str("UNSUBSCRIBE_ADDRESS", default="")
BOUNCE_MAILBOX = env.str("BOUNCE_MAILBOX", default="")
# Without a secret there is no address for events of a mail provider.
ANYMAIL_WEBHOOK_SECRET = env.str("ANYMAIL_WEBHOOK_SECRET", default="")
ANYMAIL_PROVIDER = env.str("ANYMAIL_PROVIDER", default="")
ANYMAIL = {"WEBHOOK_SECRET": ANYMAIL_WEBHOOK_SECRET}
if mailgun_key := env.str("MAILGUN_WEBHOOK_SIGNING_KEY", default=""):
    ANYMAIL["MAILGUN_WEBHOOK_SIGNING_KEY"] = mailgun_key

# The dispatcher's times, in seconds: how long a claim lasts, how often it looks, how long it waits after a failure.
OUTBOX_LEASE_S = env.int("IVIGTRACK_LEASE_S", default=120)
TICK_S = env.int("IVIGTRACK_TICK_S", default=60)
OUTBOX_FIRST_WAIT_S = env.int("IVIGTRACK_FIRST_WAIT_S", default=60)
# What the mail server, and the providers of the recipients, put up with; 0 sets no limit.
MAILS_PER_MINUTE = env.int("MAILS_PER_MINUTE", default=0)
MAILS_PER_MINUTE_PER_DOMAIN = env.int("MAILS_PER_MINUTE_PER_DOMAIN", default=0)

CELERY_BROKER_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 30,
    # Short, because a page that is being saved waits for it when the broker is away.
    "socket_connect_timeout": 2,
    # One try: without this, publishing alone takes 6 s to give up (measured). Worker and beat reconnect by themselves.
    "max_retries": 0,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CELERY_TASK_IGNORE_RESULT = True
# Acknowledged when begun: what a tick that died did not do is due at the next one, so no message need come twice.
# (Messages that are held when the broker dies have ended workers: ivigtrack/broker.py.)
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A process of the pool that is killed in the middle of a word does not take the worker with it.
CELERY_WORKER_POOL = "ivigtrack.pool:TaskPool"
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20.0
CELERY_TIMEZONE = "UTC"
# Shorter than the lease of an outbox row (reactions/outbox), so that a task never outlives its claim.
CELERY_TASK_SOFT_TIME_LIMIT = OUTBOX_LEASE_S * 3 / 4
CELERY_TASK_TIME_LIMIT = OUTBOX_LEASE_S * 5 / 6
# The tick is the guarantee; it expires before the next one so that a stopped worker finds one, not a thousand. One that
# was asked for between two does too.
TICK_EXPIRES_S = TICK_S * 11 / 12
# How often it is asked which clinics were not looked at for signals within a day (reactions/raising.py). Beat's own day
# would begin anew whenever its file is lost, and one failed look would cost a day.
LOOK_S = 600
LOOK_EXPIRES_S = LOOK_S * 11 / 12
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "reactions.tasks.tick", "schedule": Steady(TICK_S), "options": {"expires": TICK_EXPIRES_S}},
    "signals": {
        "task": "reactions.tasks.look_for_signals",
        "schedule": Steady(LOOK_S),
        "options": {"expires": LOOK_EXPIRES_S},
    },
    "trail": {
        "task": "patients.tasks.seal_trail",
        "schedule": Steady(TICK_S),
        "options": {"expires": TICK_EXPIRES_S},
    },
    "rates": {
        "task": "reactions.tasks.keep_rates_ready",
        "schedule": Steady(TICK_S),
        "options": {"expires": TICK_EXPIRES_S},
    },
}
CELERY_BEAT_SCHEDULER = "ivigtrack.beat:Scheduler"
# Beat sleeps no longer than this, so that it notices a clock that was set.
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")

# Which installation this host belongs to (reactions/site.py); without the setting the first migration keeps one there.
IVIGTRACK_SITE_ID = env.str("IVIGTRACK_SITE_ID", default="")
IVIGTRACK_SITE_ID_FILE = VAR_DIR / "site-id"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
CSRF_FAILURE_VIEW = "reactions.views.broken_links.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_AGE = 12 * 60 * 60
# Without anything done. HIPAA 45 CFR 164.312(a)(2)(iii) asks for a limit and names none; this one is the project's own.
IDLE_LIMIT_S = env.int("IVIGTRACK_IDLE_S", default=30 * 60)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# A browser takes cookies of these names from this host alone, and over TLS.
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
# Forms carry the token; no script reads it.
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Room for long narratives and many rows in one form; far below what could exhaust a worker.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"no_links": {"()": "ivigtrack.quiet_log.WithoutLinks"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_links"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    # It tells each letter of each printed report.
    "loggers": {"fontTools": {"level": "WARNING"}},
}
