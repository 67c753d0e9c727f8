"""Checks of `check-config` on files and settings of people and of the pipeline; nothing is listened on or asked."""

from collections.abc import Mapping

from console.operations import worker_settings
from console.outbox.assembly import signing_key
from console.outbox.target import Hosts
from console.port.keys import Keys
from console.port.sessions import session_secret
from console.port.users import Users, check_names
from console.review.gold import GoldChats
from console.review.wish import AnswerRules
from console.settings.console import ConsoleSettings
from console.store.address import check_address
from worker.settings.worker import WorkerSettings


def check_people(settings: ConsoleSettings) -> list[str]:
    """Return what is said of those who may ask: of keys, users and a proxy.

    Raises:
        SettingsError: a file is refused, or a key and a user have one name.
    """
    http, proxy = settings.http, settings.proxy
    keys = None if http.keys_file is None else Keys(http.keys_file)
    users = None if http.users_file is None else Users(http.users_file)
    check_names(keys, users)
    session_secret(http.session_secret_file)
    said = []
    for what, entries in (("keys", keys), ("users", users)):
        if entries is not None:
            said.append(f"{what}: {sum(1 for _ in entries.logins())}")
    if proxy.secret_file is not None:
        session_secret(proxy.secret_file)
        roles = ", ".join(f"{group} is {role}" for group, role in sorted(proxy.role_of_group.items()))
        said.append(f"proxy: from {', '.join(map(str, proxy.networks))}; {roles}")
    return said


def check_pipeline(settings: ConsoleSettings, environment: Mapping[str, str]) -> list[str]:
    """Return what is said of the pipeline, the database, reviews and appeals; nothing where none is followed.

    Raises:
        SettingsError: the worker's settings, the database's address, a file, host or key is refused, as at the start.
    """
    if not settings.pipeline.is_on:
        return []
    worker = worker_settings(settings, environment)
    database = check_address(settings.store.url.get_secret_value())
    AnswerRules.of(settings.review)
    GoldChats.of(settings.review.gold_file)
    signing_key(settings.appeals)
    Hosts.of(settings.appeals.webhook_hosts, settings.appeals.private_hosts)
    missing = _missing_topics(worker)
    hosts = settings.appeals.webhook_hosts or "nowhere"
    return [
        f"pipeline: {worker.kafka.bootstrap_servers}, verdicts in {worker.kafka.verdict_topic}",
        *([f"left out, since no setting names a topic: {', '.join(missing)}"] if missing else []),
        f"database: {database}",
        f"appeals: answers go to {hosts}",
    ]


def _missing_topics(worker: WorkerSettings) -> list[str]:
    kafka = worker.kafka
    of_topics = {
        "the queue of reviews (MODERATION_KAFKA__REVIEWS_TOPIC)": kafka.reviews_topic,
        "overrides (MODERATION_KAFKA__OVERRIDES_TOPIC)": kafka.overrides_topic,
        "the audit log (MODERATION_KAFKA__DECISIONS_TOPIC)": kafka.decisions_topic,
        "reports (MODERATION_KAFKA__FEEDBACK_TOPIC)": kafka.feedback_topic,
        "erased chats (MODERATION_KAFKA__ERASURES_TOPIC)": kafka.erasures_topic,
    }
    return [what for what, topic in of_topics.items() if topic is None]
