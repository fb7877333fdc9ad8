"""Iterators that run ahead in threads, so that waiting for one answer does not hold up the others."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

_END = object()


class Ahead:
    """The items of several iterators as they come, each iterator's own in order; what one raises is raised here.

    It begins at once: `at_once` iterators run, each in a thread, and at most `waiting` items are held. Close it when
    not all of it was consumed.
    """

    def __init__(self, iterators: Iterable[Iterable[Any]], at_once: int = 1, waiting: int = 8) -> None:
        self.to_come, self.lock, self.closed = iter(iterators), threading.Lock(), threading.Event()
        self.ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(waiting)
        self.running = at_once
        for _ in range(at_once):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while (iterator := self._next_iterator()) is not _END:
                for item in iterator:
                    self._put(item)
                    if self.closed.is_set():
                        return
            self._put(_END)
        except BaseException as error:  # whatever it is, it belongs to who consumes the items
            self._put(_END, error)

    def _next_iterator(self) -> Any:
        with self.lock:
            return next(self.to_come, _END)

    def _put(self, item: Any, error: BaseException | None = None) -> None:
        while not self.closed.is_set():
            with contextlib.suppress(queue.Full):
                self.ready.put((item, error), timeout=0.2)
                return

    def __iter__(self) -> Iterator[Any]:
        """Ends when all iterators have."""
        try:
            while self.running:
                item, error = self.ready.get()
                if error:
                    raise error
                if item is _END:
                    self.running -= 1
                else:
                    yield item
        finally:
            self.close()

    def close(self) -> None:
        """Lets the threads end, at their next item."""
        self.closed.set()
