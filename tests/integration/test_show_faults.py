"""What `worker show` says of a Redis that gives no verdict, by its cause, on a real Redis."""

import pytest
import redis
from pydantic import SecretStr

from deploy.local.stack import LocalStack
from worker.cache.show import cached_outcome
from worker.errors import Degraded
from worker.settings.redis import RedisSettings


def refusal(url: str, *, timeout_s: float = 2.0) -> str:
    """Return what a person reads."""
    with pytest.raises(Degraded) as caught:
        cached_outcome(RedisSettings(url=SecretStr(url)), "chat", timeout_s=timeout_s)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def test_a_redis_that_answers_is_not_said_to_be_silent(stack: LocalStack) -> None:
    """A database that it does not have, a key of another type, a user that it does not know."""
    url = stack.redis_url
    assert "no database of that number" in refusal(url.replace("/0", "/99"))
    with redis.Redis.from_url(url) as client:
        client.delete("verdict:chat")
        client.rpush("verdict:chat", "x")
        assert "the key holds no text" in refusal(url)
        client.delete("verdict:chat")
    assert "refuses the credentials" in refusal(url.replace("redis://", "redis://nobody:canary@"))


def test_a_redis_that_does_not_answer_is_named_with_its_address(stack: LocalStack) -> None:
    """Stopped, or spoken to in TLS on its plain port."""
    url = stack.redis_url
    assert "rediss:// (TLS) fit the port" in refusal(url.replace("redis://", "rediss://"), timeout_s=0.2)
    stack.redis.pause()
    try:
        text = refusal(url, timeout_s=0.2)
    finally:
        stack.redis.resume()
    assert "no answer within 0.2 s" in text
    assert f"Redis at {url.removeprefix('redis://').removesuffix('/0')}:" in text
