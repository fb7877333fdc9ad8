"""Iterators that run ahead in threads."""

import threading
import time

import pytest

from ingestion.parallel import Ahead


def test_items_of_all_and_each_ones_own_in_order():
    items = list(Ahead([[(name, number) for number in range(50)] for name in "abcde"], at_once=3))
    assert len(items) == 250
    for name in "abcde":
        assert [number for who, number in items if who == name] == list(range(50))


def test_it_begins_at_once_and_holds_a_few():
    begun = []

    def numbers():
        for number in range(100):
            begun.append(number)
            yield number

    ahead = Ahead([numbers()], waiting=5)
    deadline = time.monotonic() + 10
    while len(begun) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(begun) == 6, "five are held, one waits to be"
    assert list(ahead) == list(range(100))


def test_side_by_side():
    """Each waits for the other: one after the other they would never end."""
    barrier = threading.Barrier(3)

    def one():
        barrier.wait(timeout=10)
        yield 1

    assert list(Ahead([one() for _ in range(3)], at_once=3)) == [1, 1, 1]


def test_an_error_comes_after_the_items_before_it_and_ends_all():
    def fails():
        yield 1
        raise ValueError("no more")

    items, ahead = [], Ahead([fails()])
    with pytest.raises(ValueError, match="no more"):
        for item in ahead:
            items.append(item)
    assert items == [1]
    assert ahead.closed.is_set()


def test_threads_end_when_it_is_closed():
    before = threading.active_count()
    ahead = Ahead([iter(int, 1) for _ in range(4)], at_once=4)
    next(iter(ahead))
    ahead.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
