"""Settings of the shop that the tests run: Oscar and its REST API as their own documentation sets them up, on SQLite.

What varies between tests comes from the environment: `SHOP_DB` the database file, `SHOP_PAGE_SIZE` how long REST lists
are (0: not in pages), `SHOP_RICH_LISTS` whether the product list carries whole products, `SHOP_ADMIN` whether the
admin API is open, `SHOP_HEADER_SESSIONS` whether sessions come in headers.
"""

import os

from oscar import INSTALLED_APPS as OSCAR_APPS
from oscar.defaults import *  # noqa: F403

SECRET_KEY = "the shop of the tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.sources.oscar_shop.urls"
SITE_ID = 1
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
INSTALLED_APPS = [*OSCAR_APPS, "rest_framework", "oscarapi"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SHOP_DB"],
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
    }
}


class _NoMigrations:
    """Every app without migrations: tables made straight from the models take a tenth of the time."""

    def __contains__(self, app: str) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


MIGRATION_MODULES = _NoMigrations()
MIDDLEWARE = [
    "tests.sources.oscar_shop.probe.ProbeMiddleware",
    "oscarapi.middleware.HeaderSessionMiddleware"
    if os.environ.get("SHOP_HEADER_SESSIONS", "1") == "1"
    else "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oscarapi.middleware.ApiBasketMiddleWare",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
OSCAR_DEFAULT_CURRENCY = "EUR"
OSCAR_INITIAL_ORDER_STATUS = "new"
OSCARAPI_BLOCK_ADMIN_API_ACCESS = os.environ.get("SHOP_ADMIN", "1") != "1"
REST_FRAMEWORK: dict[str, object] = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
if int(os.environ.get("SHOP_PAGE_SIZE", "0")):
    REST_FRAMEWORK |= {
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": int(os.environ["SHOP_PAGE_SIZE"]),
    }
if os.environ.get("SHOP_RICH_LISTS", "0") == "1":
    OSCARAPI_PRODUCT_FIELDS = (
        "url",
        "id",
        "upc",
        "title",
        "description",
        "structure",
        "is_public",
        "attributes",
        "categories",
        "children",
    )
