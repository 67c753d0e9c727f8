"""The tables. Times are milliseconds since 1970; what the wire has as objects is JSON."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

LAYOUT: Final = 4
"""Version of the tables. An earlier one is brought to it at the start (`migrations.py`), a later one is refused."""

metadata = MetaData()

# SQLite numbers rows by itself in a column of this very type only.
_ID = BigInteger().with_variant(Integer, "sqlite")

layout = Table("layout", metadata, Column("version", Integer, primary_key=True))

offsets = Table(
    "offsets",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""Where the intake goes on."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
"""Work that one console does at a time: intake, sending."""

items = Table(
    "items",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # review, sample, gold, appeal
    Column("queue", String(64), nullable=False),  # the policy by which it is judged; of a review the first that asks
    Column("state", String(16), nullable=False),  # open, done, erased
    Column("verdict_id", String(64), nullable=False),
    Column("chat_id", String(256)),  # null: a gold item, or erased
    Column("chat_hash", String(64)),  # keyed, as in the list of erased chats; null without a key
    Column("topic", String(249)),
    Column("partition", Integer),
    Column("record_offset", BigInteger),
    Column("timestamp_ms", BigInteger),
    Column("fingerprint", String(64)),
    Column("policies", JSON, nullable=False),  # [{name, version, decision, decided_by}]
    Column("taxonomy", JSON, nullable=False),  # {name, version}
    Column("category", String(64), nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("language", String(16)),
    Column("unevaluated", JSON, nullable=False),
    Column("model", JSON, nullable=False),  # {name, version, digest}
    Column("risk", Float, nullable=False),  # the asking policy's score, 0 to 1
    Column("decided_ms", BigInteger, nullable=False),
    Column("arrived_ms", BigInteger, nullable=False),
    Column("order_ms", BigInteger, nullable=False),  # arrived_ms less the bonus of its risk: the smallest goes first
    Column("n_wanted", Integer, nullable=False),  # opinions
    Column("n_answers", Integer, nullable=False, default=0),
    Column("closed_ms", BigInteger),
    Column("stratum", String(160)),  # of a sample: policy, decision and category
    Column("inclusion", Float),  # of a sample: the probability with which it was drawn
    Column("gold_key", String(64)),  # of a gold item: which chat of its file
    Column("gold_decision", String(16)),
    Column("gold_category", String(64)),
    Column("appealed_id", _ID),  # of an appeal: the item that was answered, where there was one
    Column("closed_why", String(16)),  # where no answer closed it: override, erased
    Column("closed_by", String(128)),  # who decided by that override
    Column("meant_for", String(128)),  # of a gold item: the one reviewer who sees it
    UniqueConstraint("kind", "verdict_id", name="one_item_a_verdict"),
    Index("items_by_order", "state", "queue", "order_ms"),
    Index("items_in_order", "state", "order_ms"),
    Index("items_by_queue_age", "state", "queue", "arrived_ms"),
    Index("items_by_age", "state", "arrived_ms"),
    Index("items_by_category", "state", "category"),
    Index("items_by_kind", "kind", "state", "arrived_ms"),
    Index("items_by_fingerprint", "fingerprint", "state", "kind"),
    Index("items_by_chat", "chat_id"),
    Index("items_by_hash", "chat_hash"),
    Index("items_by_closing", "closed_ms"),
    Index("items_by_verdict", "verdict_id"),
)

claims = Table(
    "claims",
    metadata,
    Column("item_id", _ID, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("reviewer", String(128), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Index("claims_by_reviewer", "reviewer"),
)

answers = Table(
    "answers",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("item_id", _ID, ForeignKey("items.id", ondelete="CASCADE"), nullable=False),
    Column("reviewer", String(128), nullable=False),
    Column("decision_id", String(32), nullable=False, unique=True),
    Column("outcome", String(16), nullable=False),  # allow, block, skip
    Column("category", String(64)),  # the category that is right, where the reviewer named one
    Column("reason", String(64)),
    Column("note", String(1_000)),
    Column("at_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger),  # from the claim to the answer
    Column("is_blind", Boolean, nullable=False),  # the reviewer saw neither verdict nor other answers
    Column("is_final", Boolean, nullable=False),  # an adjudicator's, which settles a disagreement
    Column("undone_ms", BigInteger),
    Column("batch", String(32)),  # of a bulk action
    Column("policy", String(64)),  # for which the decision is meant; null: for those that ask
    Column("whole_chat", Boolean),
    Index("answers_by_item", "item_id"),
    Index("answers_by_reviewer", "reviewer", "at_ms"),
    Index("answers_by_time", "at_ms"),
    Index("answers_by_batch", "batch"),
)
"""Appended; `undone_ms` is the one thing that changes."""

signatures = Table(
    "signatures",
    metadata,
    Column("item_id", _ID, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("band", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),  # see console/review/signature.py
    Index("signatures_by_value", "value"),
)
"""By which near-identical texts are found, keyed; only of texts that were read for a reviewer."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("decision_id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),  # override_set, override_clear, feedback, webhook
    Column("chat_id", String(256)),
    Column("chat_hash", String(64)),
    Column("body", LargeBinary, nullable=False),  # JSON; its form is the sender's
    Column("created_ms", BigInteger, nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("cancelled_ms", BigInteger),
    Column("n_tries", Integer, nullable=False, default=0),
    Column("next_try_ms", BigInteger, nullable=False, default=0),
    Column("error", String(500)),
    Column("started_ms", BigInteger),  # from here on it may be on its topic, and can only be answered by a later row
    Column("refused_ms", BigInteger),  # for good: an admin looks at it
    Column("dismissed_ms", BigInteger),  # of a refused one: an admin has said that it need not be sent
    Column("revision", BigInteger),  # of an override: given once, before the first try, and kept over all tries
    UniqueConstraint("decision_id", "kind", name="one_of_a_kind_a_decision"),
    Index("outbox_to_send", "sent_ms", "not_before_ms"),
    Index("outbox_by_chat", "chat_id"),
    Index("outbox_by_hash", "chat_hash"),
)

appeals = Table(
    "appeals",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("item_id", _ID, ForeignKey("items.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("verdict_id", String(64), nullable=False),
    Column("caller", String(128), nullable=False),  # name of the key that asked
    Column("reason", String(64), nullable=False),
    Column("note", String(1_000)),
    Column("webhook_url", String(2_000)),
    Column("created_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    Column("outcome", String(16)),  # accepted, rejected; erased: the chat was, before anybody answered
    Column("decision", String(16)),  # of the answer; null where the chat was erased first
    Column("answer_reason", String(64)),
    Index("appeals_by_caller", "caller", "created_ms"),
)

counts = Table(
    "counts",
    metadata,
    Column("hour_ms", BigInteger, primary_key=True),
    Column("what", String(32), primary_key=True),  # see console/review/arriving.py
    Column("policy", String(64), primary_key=True),  # empty where it is of none
    Column("key", String(96), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
"""How many verdicts of an hour had what: for rates, drift, and what samples stand for."""

erasures = Table(
    "erasures",
    metadata,
    Column("chat_hash", String(64), primary_key=True),  # keyed
    Column("erased_ms", BigInteger, nullable=False),  # when it was asked for
)
"""Chats that were erased: what is of before is not taken in again."""

overridden = Table(
    "overridden",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("record_offset", BigInteger, primary_key=True),
    Column("decided_ms", BigInteger, nullable=False),
    Column("actor", String(128)),
)
"""Records on which a person has decided, so that no policy asks any longer: their reviews may be read later."""

access_log = Table(
    "access_log",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("actor", String(128), nullable=False),
    # reveal, compare, export, promote, rollback, claim, release, again, dismiss
    Column("action", String(32), nullable=False),
    Column("item_id", _ID),
    Column("chat_hash", String(64)),
    Column("detail", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("access_by_time", "at_ms"),
)
"""Who saw or did what besides deciding; decisions are on the decisions topic."""

preferences = Table(
    "preferences",
    metadata,
    Column("person", String(128), primary_key=True),
    Column("values", JSON, nullable=False),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("key", String(64), primary_key=True),  # digest of a name, an address, or both
    Column("full_ms", BigInteger, nullable=False),  # from then on as many may fail as at first
    Column("kept_until_ms", BigInteger, nullable=False),
    Index("login_attempts_by_age", "kept_until_ms"),
)
"""Logins that failed, as `console/store/login_attempts.py` counts them."""
