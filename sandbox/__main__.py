"""python -m sandbox start | advance [DAYS] | reset"""

import argparse
import sys
from pathlib import Path
from threading import Event

import sandbox


def main() -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="The stand-in company: a web shop in PostgreSQL, an exchange-rate service, resellers' CSV files, "
        "a CRM that answers as HubSpot, newsletters as Mailchimp, counted visits as Google Analytics, "
        "and devices over MQTT.",
    )
    parser.add_argument("--root", type=Path, default=sandbox.ROOT, help="its folder (SANDBOX_ROOT, now %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="run its systems here until Ctrl-C, and print their options")
    start.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"default: {' '.join(sandbox.SYSTEMS)}")
    start.add_argument("--scale", type=float, default=sandbox.SCALE, help="1 is 2,000 customers (SANDBOX_SCALE)")
    start.add_argument("--seed", type=int, default=sandbox.SEED, help="same seed, same data (SANDBOX_SEED)")
    advance = commands.add_parser("advance", help="let days go by: new, changed, deleted and late rows; running or not")
    advance.add_argument("days", nargs="?", type=int, default=1, help="how many (default 1)")
    commands.add_parser("reset", help="delete its data; the next start makes it anew, with the clock at its beginning")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "start":
                with sandbox.running(arguments.systems, arguments.root, arguments.scale, arguments.seed) as options:
                    for name, value in options.items():
                        print(f"export {name}='{value}'")
                    print(f"# clock {sandbox.clock(arguments.root)}; Ctrl-C stops", file=sys.stderr, flush=True)
                    sys.stdout.flush()
                    Event().wait()
            case "advance":
                print(f"the clock stands at {sandbox.advance(arguments.days, arguments.root)}")
            case "reset":
                sandbox.reset(arguments.root)
    except KeyboardInterrupt:
        return 0
    except (FileNotFoundError, ValueError, sandbox.InUse) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
