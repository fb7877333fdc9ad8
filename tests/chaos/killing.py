"""Kills with -9 of processes that collect or run, before or after named steps and at any moment."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet

from ingestion import __main__ as command_line
from ingestion import spool
from ingestion.warehouse import Warehouse

KILLS = int(os.environ.get("KILLS") or 200)
SEED = int(os.environ.get("SEED") or random.randrange(10**6))
FORK = multiprocessing.get_context("fork")
MOMENT = "any moment"

Steps = dict[str, tuple[Any, str]]
"""Name of a step -> who does it, and the name of the function."""

STEPS: Steps = {
    "write to the journal": (spool, "_write"),
    "journal to disk": (os, "fdatasync"),
    "write the file": (pyarrow.parquet, "write_table"),
    "file to disk": (os, "fsync"),
    "rename the file": (Path, "rename"),
    "remove a file": (Path, "unlink"),
    "extract": (Warehouse, "_load_pending"),
    "load": (Warehouse, "_load"),
}
"""Of every live source."""


class Killer:
    """Starts what takes from the live source `system`, and kills it; `deaths` by step."""

    def __init__(self, system: str, steps: Steps, begin: Callable[[], None] = lambda: None) -> None:
        """`begin` is called at the beginning of every process."""
        self.system, self.steps, self.begin = system, {**STEPS, **steps}, begin
        self.chance, self.deaths = random.Random(SEED), Counter()

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(self.deaths.values())

    def start(self, *command: str, death: tuple[str, bool, int] | None = None) -> multiprocessing.Process:
        """A process that runs a command, and dies at a step."""

        def work() -> None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self.begin()
            if death:
                self._die_at(*death)
            os._exit(command_line.main([*command]))

        process = FORK.Process(target=work)
        process.start()
        return process

    def finish(self, *command: str) -> None:
        """Runs a command to its end, which has to be a good one."""
        process = self.start(*command)
        process.join()
        assert process.exitcode == 0, command

    def kill_one(self) -> None:
        """Collects or runs, until the kill."""
        command = self.chance.choice([["collect"], ["collect"], ["run", "--accept-deletes"]])
        step = self.chance.choice([MOMENT, *self.steps])
        if step == MOMENT:
            process = self.start(*command, self.system)
            time.sleep(self.chance.random() * 4)
        else:
            death = (step, self.chance.random() < 0.5, self.chance.randint(1, 4))
            process = self.start(*command, self.system, death=death)
            process.join(3)  # or the step was not on its way
        process.kill()
        process.join()
        self.deaths[step] += process.exitcode == -signal.SIGKILL

    def _die_at(self, step: str, is_after: bool, call: int) -> None:
        """Lets this process die before or after a step's so-manieth call."""
        owner, name = self.steps[step]
        original, calls = getattr(owner, name), Counter()

        def counted(*arguments, **options):
            calls[step] += 1
            if calls[step] == call and not is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*arguments, **options)
            if calls[step] == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, counted)
