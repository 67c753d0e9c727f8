"""What waits for the classifier: requests in turns, within a bound.

Requests are served in the order in which they came, but for small ones: after eight conversations of a large request
the oldest small one has its turn, so that a request of 256 does not stand before one of a single conversation. Large
ones take no turns with one another: that would make every one of them late where they are too many.

Invariants: never more conversations wait than the bound; every conversation is taken once or its request was removed.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas import Turn

_CHARACTERS_PER_TOKEN: Final = 4
_TOKENS_PER_CONVERSATION: Final = 32
"""What the shortest one costs: a row's fixed part."""
_TURN: Final = 8
"""Conversations of a large request that are taken before the next small one, of so many at most, has its turn."""
_MOST_TOKENS: Final = 2_048
"""Of longer conversations the model reads the ends only."""


@dataclass(frozen=True)
class Conversation:
    """Turns to be judged."""

    turns: Sequence[Turn]
    n_tokens: int
    """As estimated from the length of its texts."""

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> "Conversation":
        """Estimate what a conversation costs."""
        n_characters = sum(len(turn.text) for turn in turns)
        return cls(turns, min(_MOST_TOKENS, _TOKENS_PER_CONVERSATION + n_characters // _CHARACTERS_PER_TOKEN))


@dataclass(eq=False)
class Waiting:
    """The conversations of one request that were not taken yet."""

    conversations: Sequence[Conversation]
    due_s: float = math.inf
    """When it is of no use any more, by the clock of who waits."""
    n_taken: int = 0
    n_tokens: int = field(init=False)
    """Of those that were not taken."""

    def __post_init__(self) -> None:
        self.n_tokens = sum(conversation.n_tokens for conversation in self.conversations)

    @property
    def n_left(self) -> int:
        """Conversations that were not taken yet."""
        return len(self.conversations) - self.n_taken


@dataclass(frozen=True)
class Ticket:
    """One conversation of a micro-batch, and where its answer belongs."""

    request: Waiting
    position: int

    @property
    def conversation(self) -> Conversation:
        """What is asked."""
        return self.request.conversations[self.position]


class WaitingRequests:
    """The queue; not to be shared between threads without a lock.

    Args:
        max_conversations: The bound.
    """

    def __init__(self, max_conversations: int) -> None:
        self._max_conversations = max_conversations
        self._requests: OrderedDict[Waiting, None] = OrderedDict()
        self.n_conversations = 0
        self.n_tokens = 0

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, request: Waiting) -> bool:
        """Take a request into the queue; False where it would pass the bound."""
        if self.n_conversations + request.n_left > self._max_conversations:
            return False
        self._requests[request] = None
        self.n_conversations += request.n_left
        self.n_tokens += request.n_tokens
        return True

    def remove(self, request: Waiting) -> None:
        """Forget what is left of a request that nobody waits for any more."""
        if request in self._requests:
            del self._requests[request]
            self.n_conversations -= request.n_left
            self.n_tokens -= request.n_tokens

    def remove_late(self, now_s: float) -> list[Waiting]:
        """Forget what is left of requests that are due; return them."""
        late = [request for request in self._requests if request.due_s <= now_s]
        for request in late:
            self.remove(request)
        return late

    def take(self, max_conversations: int, max_tokens: int) -> list[Ticket]:
        """Return the next micro-batch, at least one conversation where any waits."""
        tickets: list[Ticket] = []
        n_tokens = 0
        while self._requests and len(tickets) < max_conversations:
            request = next(iter(self._requests))
            cost = request.conversations[request.n_taken].n_tokens
            if tickets and n_tokens + cost > max_tokens:
                break
            tickets.append(self._taken(request, cost))
            n_tokens += cost
            if not request.n_left:
                del self._requests[request]
            elif request.n_taken % _TURN == 0:
                self._let_a_small_one_pass()
        return tickets

    def _let_a_small_one_pass(self) -> None:
        small = next((one for one in self._requests if len(one.conversations) <= _TURN), None)
        if small is not None:
            self._requests.move_to_end(small, last=False)

    def _taken(self, request: Waiting, cost: int) -> Ticket:
        ticket = Ticket(request, request.n_taken)
        request.n_taken += 1
        request.n_tokens -= cost
        self.n_conversations -= 1
        self.n_tokens -= cost
        return ticket

    def clear(self) -> list[Waiting]:
        """Forget all requests; return them."""
        requests = list(self._requests)
        self._requests.clear()
        self.n_conversations = self.n_tokens = 0
        return requests
