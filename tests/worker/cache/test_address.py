"""Redis addresses: what redis-py would pass over, or fail at, is refused at start by its name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import parse_url

from worker.cache.address import address_parts, shown_address

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://cache?tls=true", "the option tls of the Redis address is not understood; expected rediss://"),
        ("redis://cache?socket_timeout=30", "the option socket_timeout of the Redis address is not understood"),
        ("redis://cache?socket_timeout=30", "expected MODERATION_REDIS__TIMEOUT_S"),
        ("redis://cache?timeout=1", "MODERATION_REDIS__TIMEOUT_S"),
        ("redis://cache?retry_on_error=x", "the option retry_on_error"),
        (f"redis://cache?password={CANARY}", "MODERATION_REDIS__PASSWORD_FILE"),
        (f"redis://cache?{CANARY}=1", "an option of the Redis address is not understood"),
        ("redis://cache?ssl_cert_reqs=none", "for rediss:// alone"),
        ("rediss://cache?ssl_cert_reqs=maybe", "ssl_cert_reqs of the Redis address has not one value"),
        ("rediss://cache?ssl_ca_certs=/ca", "MODERATION_REDIS__SSL_CA_LOCATION"),
        ("redis://cache?db=", "the option db"),
        ("redis://cache?db=1&db=2", "the option db"),
        ("redis://cache?db=-1", "the option db"),
        ("redis://cache/1?db=2", "names its database twice"),
        ("redis://:12/34@cache", "percent-encoded (/ is %2F"),
        ("redis://:12?34=5@cache", "percent-encoded"),
        (f"redis://:{CANARY}#x@cache", "percent-encoded"),
        ("redis://:12#34@cache", "percent-encoded"),
        ("redis://cache/mydb", "the database of the Redis address is no number"),
        ("redis://cache/0/1", "no number"),
        ("redis://cache/-1", "no number"),
        ("redis://cache/ 1", "a blank"),
        ("redis://cache/\uff11", "no number"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        (f"redis://:{CANARY}@/0", "names no host"),
        ("redis://:6379/0", "names no host"),
        ("redis://cache:99999/0", "the port"),
        ("redis://cache:0", "the port"),
        ("redis://cache:", "the port"),
        ("redis://cache:port", "the port"),
        ("redis://a:1,b:2/0", "the port"),
        ("redis://a,b/0", "the host"),
        ("redis://ca\tche/0", "a blank or a control character"),
        ("redis://cache/0\n", "a blank or a control character"),
        ("unix://", "names no socket"),
        ("unix://folder/redis.sock", "three slashes"),
        ("http://cache", "not a Redis address"),
        ("cache:6379", "not a Redis address"),
        ("redis+sentinel://cache", "not a Redis address"),
        ("", "not a Redis address"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(url: str, complaint: str) -> None:
    """redis-py takes it for localhost, for database 0 or for an option of the connection, which then fails."""
    with pytest.raises(ValueError, match="Redis address") as caught:
        address_parts(url)
    assert complaint in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache", "cache:6379"),
        ("redis://cache/", "cache:6379"),
        ("redis://cache:6380/3", "cache:6380"),
        ("rediss://user:p%2Fw@cache.example:6380/0", "cache.example:6380"),
        ("rediss://cache?ssl_cert_reqs=none&db=2", "cache:6379"),
        ("rediss://cache/1?ssl_check_hostname=false", "cache:6379"),
        ("redis://:pw@[::1]:6379/0", "[::1]:6379"),
        ("redis://under_score:1?protocol=2", "under_score:1"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://user:pw@/run/redis.sock?db=2", "/run/redis.sock"),
    ],
)
def test_an_address_that_says_what_it_means_is_read_as_the_client_reads_it(url: str, shown: str) -> None:
    """And shown without user and password."""
    assert address_parts(url) == parse_url(url)  # type: ignore[no-untyped-call]
    assert shown_address(url) == shown


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from(["redis", "rediss", "unix"]))
def test_no_refusal_quotes_a_password_that_is_not_encoded(before: str, after: str, scheme: str) -> None:
    """It stands in the address, and every special character may be in it."""
    url = f"{scheme}://user:{before}{CANARY}{after}@cache:6379/0"
    try:
        parts = address_parts(url)
    except ValueError as error:
        assert CANARY not in f"{error}{error.__cause__}"  # noqa: PT017  most are refused, some may be read
    else:
        assert CANARY in str(parts["password"])
