"""The one place where settings become a Redis client."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from worker.cache.credentials import follow_files
from worker.settings.redis import RedisSettings


def connect(settings: RedisSettings, *, timeout_s: float | None = None) -> redis.Redis:
    """Return a client that connects on first use and never retries by itself.

    Args:
        settings: With a url.
        timeout_s: Longest wait for one answer, instead of the settings'.

    Raises:
        ValueError: there is no url, or it is not a Redis address.
    """
    if settings.url is None:
        raise ValueError("no Redis url; expected MODERATION_REDIS__URL")
    wait_s = timeout_s or settings.timeout_s
    given: dict[str, Any] = {
        "username": settings.username,
        "password": settings.password and settings.password.get_secret_value(),
        "ssl_ca_certs": settings.ssl_ca_location and str(settings.ssl_ca_location),
        "ssl_certfile": settings.ssl_certificate_location and str(settings.ssl_certificate_location),
        "ssl_keyfile": settings.ssl_key_location and str(settings.ssl_key_location),
        "ssl_password": settings.ssl_key_password and settings.ssl_key_password.get_secret_value(),
    }
    client = redis.Redis.from_url(
        settings.url.get_secret_value(),
        # Both are commands at every connect that an older server does not know and a user with few rights may not run.
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        socket_timeout=wait_s,
        socket_connect_timeout=wait_s,
        retry=Retry(NoBackoff(), 0),
        client_name="verdictstream",
        **{name: value for name, value in given.items() if value is not None},
    )
    follow_files(client, settings)
    return client
