"""The queue: a bound, turns, and nothing taken twice."""

from hypothesis import given
from hypothesis import strategies as st

from console.judging.waiting import Conversation, Waiting, WaitingRequests
from schemas import Role, Turn


def request(*n_characters: int) -> Waiting:
    """Return a request about texts of these lengths."""
    return Waiting([Conversation.of([Turn(Role.USER, "x" * n)]) for n in n_characters])


def test_a_small_request_does_not_wait_behind_a_large_one() -> None:
    """Eight of the large one, then whoever came next."""
    waiting = WaitingRequests(1_000)
    large, small = request(*[10] * 200), request(10)
    waiting.add(large)
    waiting.add(small)
    assert [ticket.request for ticket in waiting.take(11, 10_000)] == [large] * 8 + [small] + [large] * 2


def test_large_requests_end_in_the_order_in_which_they_came_and_small_ones_pass_one_by_one() -> None:
    """In turns with one another all large ones would end last, and an expected wait would be a promise to nobody."""
    waiting = WaitingRequests(1_000)
    first, second, small, smaller = request(*[10] * 24), request(*[10] * 24), request(*[10] * 8), request(10)
    for one in (first, second, small, smaller):
        waiting.add(one)
    taken = [ticket.request for ticket in waiting.take(100, 10_000)]
    assert taken == [first] * 8 + [small] * 8 + [first] * 8 + [smaller] + [first] * 8 + [second] * 24


def test_small_requests_are_served_whole_in_the_order_in_which_they_came() -> None:
    """In turns of one each all of them would be late, where they are too many."""
    waiting = WaitingRequests(1_000)
    first, second = request(10, 10, 10), request(10, 10)
    waiting.add(first)
    waiting.add(second)
    assert [ticket.request for ticket in waiting.take(4, 10_000)] == [first] * 3 + [second]
    assert [ticket.request for ticket in waiting.take(4, 10_000)] == [second]


def test_a_micro_batch_stops_at_its_token_budget_but_is_never_empty() -> None:
    """A conversation above the budget is a batch of its own."""
    waiting = WaitingRequests(10)
    waiting.add(request(4_000, 4_000, 40))
    assert [len(waiting.take(10, 1_500)) for _ in range(3)] == [1, 2, 0]


def test_a_request_beyond_the_bound_is_refused_whole() -> None:
    """And leaves room for a smaller one."""
    waiting = WaitingRequests(10)
    assert waiting.add(request(*[1] * 8))
    assert not waiting.add(request(1, 1, 1))
    assert waiting.add(request(1, 1))
    assert waiting.n_conversations == 10


def test_what_nobody_waits_for_is_forgotten() -> None:
    """Its place is free at once; a second removal changes nothing."""
    waiting = WaitingRequests(4)
    given_up = request(1, 1, 1)
    waiting.add(given_up)
    waiting.take(1, 1_000)
    waiting.remove(given_up)
    waiting.remove(given_up)
    assert (waiting.n_conversations, waiting.n_tokens, len(waiting)) == (0, 0, 0)


@given(
    st.lists(st.lists(st.integers(0, 20_000), min_size=1, max_size=8), max_size=12),
    st.integers(1, 9),
    st.integers(1, 5_000),
)
def test_every_conversation_is_taken_once_and_in_order(
    lengths: list[list[int]], max_conversations: int, max_tokens: int
) -> None:
    """Counts end at zero, and each request's answers can be put in order."""
    waiting = WaitingRequests(1_000)
    requests = [request(*of_one) for of_one in lengths]
    for one in requests:
        assert waiting.add(one)
    taken: dict[Waiting, list[int]] = {one: [] for one in requests}
    while tickets := waiting.take(max_conversations, max_tokens):
        assert len(tickets) <= max_conversations
        assert len(tickets) == 1 or sum(ticket.conversation.n_tokens for ticket in tickets) <= max_tokens
        for ticket in tickets:
            taken[ticket.request].append(ticket.position)
    assert [taken[one] for one in requests] == [list(range(len(of_one))) for of_one in lengths]
    assert (waiting.n_conversations, waiting.n_tokens, len(waiting)) == (0, 0, 0)
