"""python -m sandbox start | advance [DAYS] | reset | workload CONNINFO"""

import argparse
import sys
from pathlib import Path
from threading import Event

import psycopg

import sandbox
from sandbox import workload


def _conninfo(text: str) -> str:
    try:
        psycopg.conninfo.conninfo_to_dict(text)
    except psycopg.ProgrammingError:  # which says the text, and a password with it
        raise argparse.ArgumentTypeError(
            "neither a URL as postgresql://... nor key words as host=... dbname=..."
        ) from None
    return text


def main() -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="The stand-in company: a web shop in PostgreSQL, an exchange-rate service, resellers' CSV files, "
        "a CRM that answers as HubSpot, newsletters as Mailchimp, counted visits as Google Analytics, "
        "devices over MQTT, a planning sheet, and folders of workbooks, documents and photos.",
    )
    parser.add_argument("--root", type=Path, default=sandbox.ROOT, help="its folder (SANDBOX_ROOT, now %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="run its systems here until Ctrl-C, and print their options")
    start.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"default: {' '.join(sandbox.SYSTEMS)}")
    start.add_argument("--scale", type=float, default=sandbox.SCALE, help="1 is 2,000 customers (SANDBOX_SCALE)")
    start.add_argument("--seed", type=int, default=sandbox.SEED, help="same seed, same data (SANDBOX_SEED)")
    start.add_argument("--dirt", type=float, default=sandbox.DIRT, help="share of each defect, 0 to 0.5 (SANDBOX_DIRT)")
    advance = commands.add_parser("advance", help="let days go by: new, changed, deleted and late rows; running or not")
    advance.add_argument("days", nargs="?", type=int, default=1, help="how many (default 1)")
    commands.add_parser("reset", help="delete its data; the next start makes it anew, with the clock at its beginning")
    change = commands.add_parser(
        "workload",
        help="change rows and tables in a PostgreSQL database of yours, to see change capture at work",
        description="Makes tables of a web shop in schema public, if it has not yet, and publication `catchment`. Then "
        "inserts, updates and deletes rows, changes keys, truncates, rolls back, adds, renames and drops columns. "
        "Other tables stay as they are. For change capture the server needs wal_level = logical.",
    )
    change.add_argument(
        "conninfo", metavar="CONNINFO", type=_conninfo, help="postgresql://... or 'host=... dbname=...'"
    )
    change.add_argument("--operations", type=int, default=100_000, help="rows to change (default %(default)s)")
    change.add_argument("--rate", type=float, help="rows per second, on average (default: as many as go)")
    change.add_argument("--seed", type=int, default=1, help="same seed, same changes (default %(default)s)")
    change.add_argument("--no-ddl", action="store_true", help="leave the shape of the tables as it is")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "start":
                size = (arguments.scale, arguments.seed, arguments.dirt)
                with sandbox.running(arguments.systems, arguments.root, *size) as options:
                    for name, value in options.items():
                        print(f"export {name}='{value}'")
                    print(f"# clock {sandbox.clock(arguments.root)}; Ctrl-C stops", file=sys.stderr, flush=True)
                    sys.stdout.flush()
                    Event().wait()
            case "advance":
                print(f"the clock stands at {sandbox.advance(arguments.days, arguments.root)}")
            case "reset":
                sandbox.reset(arguments.root)
            case "workload":
                options = (arguments.operations, arguments.rate, arguments.seed, not arguments.no_ddl)
                workload.show(arguments.conninfo, *options)
    except KeyboardInterrupt:
        return 0
    except (FileNotFoundError, ValueError, sandbox.InUse, psycopg.Error) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
