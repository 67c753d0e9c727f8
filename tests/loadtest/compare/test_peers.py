"""Each peer application does the worker's job: real broker, real bundle, its own environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import LocalStack
from loadtest.chats import SAMPLE_CHATS, ChatPool
from loadtest.compare.peer_environment import peer_python, versions
from loadtest.compare.peer_run import PEERS, Peer, PeerSetup, time_peer
from loadtest.compare.sessions import evenly_spaced
from loadtest.services import Services
from model import Classifier, RowFailed, load_bundle
from schemas import DEFAULT_POLICY, CodecLimits, conversation_turns, decode_chat_event

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]  # the first call installs the peers

N_CHATS = 20
N_PARTITIONS = 3


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker for this module; every peer gets topics of its own."""
    with LocalStack() as running:
        yield running


@pytest.fixture(scope="module")
def pool() -> ChatPool:
    """Return twenty chats from all over the sample."""
    return ChatPool(evenly_spaced(ChatPool.read(SAMPLE_CHATS, "all").conversations, N_CHATS), "peer")


@pytest.fixture(scope="module")
def expected(pool: ChatPool, bundle_path: Path) -> tuple[str, ...]:
    """Return the category that the classifier names in this process, of each chat."""
    events = [decode_chat_event(pool.outgoing(i, i).value, CodecLimits()) for i in range(N_CHATS)]
    classifier = Classifier(load_bundle(bundle_path), DEFAULT_POLICY, n_threads=1)
    results, _ = classifier.classify([conversation_turns(event) for event in events])
    return tuple("" if isinstance(result, RowFailed) else result.category for result in results)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_judges_every_chat_once_and_names_the_classifiers_category(
    peer: Peer, pool: ChatPool, expected: tuple[str, ...], bundle_path: Path, stack: LocalStack
) -> None:
    """A comparison with an application that loses, repeats or misjudges chats would mean nothing."""
    setup = PeerSetup(peer_python(), bundle_path, n_threads=2, n_partitions=N_PARTITIONS)
    warm_up = [ChatPool(pool.conversations, "warm").outgoing(i, i) for i in range(2)]
    events = [pool.outgoing(i, i) for i in range(N_CHATS)]
    timed = time_peer(peer, setup, Services(stack.bootstrap_servers, None), events, warm_up, run_id=pool.run_id)
    # A lost or repeated verdict is an error of the timed run itself.
    assert timed.n_events == N_CHATS
    assert timed.categories == expected


def test_the_peers_classify_with_the_same_libraries_as_the_worker() -> None:
    """Otherwise a ratio would compare two versions of ONNX Runtime."""
    assert {peer.distribution for peer in PEERS} <= versions(peer_python()).keys()
