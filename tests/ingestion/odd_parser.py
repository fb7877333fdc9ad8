"""A parser that does what its file says, to see what the child process allows (run by test_untrusted.py)."""

import os
import signal
import socket
import subprocess
import sys
import time

from ingestion.parsers import Unreadable


def parse(data, name, **options):
    word, _, rest = data.decode().partition(" ")
    yield "words", {"word": word, "number": 0, "rest": options.get("rest", rest)}
    match word:
        case "many":
            for number in range(1, int(rest)):
                yield "words", {"word": word, "number": number, "rest": "x" * 100}
        case "locked":
            raise Unreadable("encrypted", "it has a password")
        case "scanned":
            return Unreadable("scanned", "it has no text")
        case "raise":
            raise ValueError(f"what is {rest}?")
        case "deep":
            parse_deep(1)
        case "hang":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "late":
            os.kill(os.getpid(), signal.SIGVTALRM)
        case "grow":
            bytearray(2**31)
        case "endless":
            while True:
                yield "words", {"word": word, "number": 1, "rest": "x" * 2**20}
        case "connect":
            socket.create_connection(("127.0.0.1", int(rest)))
        case "run":
            subprocess.run(["touch", rest], check=True)
        case "write":
            with open(rest, "w") as file:
                file.write("x" * 10)
        case "shout":
            print("x" * 100_000, flush=True)
            os.write(1, b"y" * 100_000)
        case "secrets":
            yield "words", {"word": word, "number": 1, "rest": repr(sorted(os.environ))}
        case "process":
            yield "words", {"word": word, "number": 1, "rest": str(os.getpid())}
        case "worn":
            globals()["held"] = bytearray(600 * 2**20)
            yield "words", {"word": word, "number": 1, "rest": str(os.getpid())}
    sys.stdout.flush()


def parse_deep(depth):
    return parse_deep(depth + 1) + 1
