"""The stand-in company's systems on this machine: `with sandbox.running() as options:` and they answer.

Under the root folder: postgres/ (the shop), events/ and logs/ (of the site and the app), spreadsheets/, documents/ and
images/ (what people send and keep), hubspot.json and its like (what the servers show), truth/ (for tests, never loaded)
and sandbox.json (seed, scale, dirt, clock, password and keys; written last, so that a half-made sandbox is made again).
"""

import fcntl
import gc
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from hashlib import md5
from pathlib import Path
from threading import current_thread, main_thread
from uuid import uuid4

from ingestion.pipeline import spool_path
from sandbox import (
    bluesky,
    counted_visits,
    devices,
    exchange_rates,
    google_analytics,
    google_sheets,
    hubspot,
    mailchimp,
    mastodon,
    planning,
    reseller_orders,
    service_account,
    stock,
    truth,
)
from sandbox.bluesky_view import View as BlueskyView
from sandbox.company import CLOCK, Company
from sandbox.dirt import RATE
from sandbox.mastodon_view import View as MastodonView
from sandbox.server import Server, latest
from sandbox.shop import READER, Database, tables
from sandbox.social import OWN_HANDLES

SYSTEMS = (
    "shop",
    "exchange_rates",
    "hubspot",
    "mailchimp",
    "events",
    "access_logs",
    "google_analytics",
    "bluesky",
    "mastodon",
    "devices",
    "google_sheets",
    "spreadsheets",
    "documents",
    "images",
)
FOLDERS = {  # of systems that are files
    "events": "events", "access_logs": "logs",
    "spreadsheets": "spreadsheets", "documents": "documents", "images": "images",
}  # fmt: skip
# What is shown, a JSON each:
SHOWN = ("hubspot", "mailchimp", "google_analytics", "bluesky", "mastodon", "devices", "google_sheets")
ROOT = Path(os.environ.get("SANDBOX_ROOT", ".sandbox"))
SCALE = float(os.environ.get("SANDBOX_SCALE", "1"))
SEED = int(os.environ.get("SANDBOX_SEED", "1"))
DIRT = float(os.environ.get("SANDBOX_DIRT", str(RATE)))


class InUse(RuntimeError):
    """Another process holds this sandbox."""


class Options(dict[str, str]):
    """The options by their environment names; `servers` has the HTTP servers by system, with their `misbehave`."""

    servers: dict[str, Server]


@contextmanager
def running(
    systems: Iterable[str] | None = None,
    root: Path = ROOT,
    scale: float = SCALE,
    seed: int = SEED,
    dirt: float = DIRT,
) -> Iterator[Options]:
    """Runs `systems` (default: all) on free loopback ports and yields their options; stops them on exit.

    Makes the data first if `root` has none of this scale, seed and dirt (the share of each defect); a made sandbox
    keeps its clock. Raises InUse if `root` is running already: several sandboxes at once need a root each.
    """
    wanted = tuple(systems or SYSTEMS)
    if scale <= 0:
        raise ValueError(f"the scale is {scale}: give a number above 0, 1 is 2,000 customers")
    if not 0 <= dirt <= 0.5:
        raise ValueError(f"the dirt is {dirt}: give a share from 0 to 0.5 for each defect; it is {RATE} by itself")
    if unknown := set(wanted) - set(SYSTEMS):
        raise ValueError(f"the sandbox has no {', '.join(sorted(unknown))}; it has {', '.join(SYSTEMS)}")
    root = Path(root).resolve()
    with ExitStack() as stack:
        stack.enter_context(_stop_on_sigterm())
        stack.enter_context(_held(root))
        state = _prepare(root, scale, seed, dirt, stack)
        options = Options()
        options.servers = {}
        if "shop" in wanted:
            database = Database(root / "postgres")
            stack.callback(database.stop)
            database.start()
            address = f"127.0.0.1:{database.port}/shop"
            options["SOURCES__SHOP__CREDENTIALS"] = f"postgresql://{READER}:{state['password']}@{address}"
        if "exchange_rates" in wanted:
            server = exchange_rates.serve(lambda: clock(root), state["seed"])
            stack.callback(server.stop)
            options.servers["exchange_rates"] = server
            options["SOURCES__EXCHANGE_RATES__BASE_URL"] = f"{server.url}/v1"
        for system in FOLDERS.keys() & set(wanted):
            options[f"SOURCES__{system.upper()}__FOLDER"] = str(root / FOLDERS[system])
        if "hubspot" in wanted:
            server = hubspot.serve(root / "hubspot.json", state["hubspot_token"])
            stack.callback(server.stop)
            options.servers["hubspot"] = server
            options["SOURCES__HUBSPOT__TOKEN"] = state["hubspot_token"]
            options["SOURCES__HUBSPOT__BASE_URL"] = server.url
        if "mailchimp" in wanted:
            tables = latest(root / "mailchimp.json")
            server = mailchimp.serve(tables, lambda: clock(root), state["mailchimp_key"])
            stack.callback(server.stop)
            options.servers["mailchimp"] = server
            options["SOURCES__MAILCHIMP__API_KEY"] = state["mailchimp_key"]
            options["SOURCES__MAILCHIMP__BASE_URL"] = f"{server.url}/3.0"
        if "google_analytics" in wanted:
            properties = latest(root / "google_analytics.json", counted_visits.properties)
            server = google_analytics.serve(properties, lambda: clock(root), state["google_key"])
            stack.callback(server.stop)
            options.servers["google_analytics"] = server
            key = service_account.credentials(server.url, state["google_key"])
            options["SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS"] = json.dumps([counted_visits.property_id(seed)])
            options["SOURCES__GOOGLE_ANALYTICS__CREDENTIALS"] = key
            options["SOURCES__GOOGLE_ANALYTICS__BASE_URL"] = server.url
        if "bluesky" in wanted:
            view = latest(root / "bluesky.json", BlueskyView)
            server = bluesky.serve(view, lambda: clock(root), state["bluesky_password"])
            stack.callback(server.stop)
            options.servers["bluesky"] = server
            options["SOURCES__BLUESKY__IDENTIFIER"] = OWN_HANDLES["bluesky"]
            options["SOURCES__BLUESKY__PASSWORD"] = state["bluesky_password"]
            options["SOURCES__BLUESKY__BASE_URL"] = server.url
            options["SOURCES__BLUESKY__SEARCHES"] = json.dumps(['"catchment coffee"'])
        if "mastodon" in wanted:
            view = latest(root / "mastodon.json", MastodonView)
            server = mastodon.serve(view, lambda: clock(root), state["mastodon_token"])
            stack.callback(server.stop)
            options.servers["mastodon"] = server
            options["SOURCES__MASTODON__TOKEN"] = state["mastodon_token"]
            options["SOURCES__MASTODON__BASE_URL"] = server.url
            options["SOURCES__MASTODON__SEARCHES"] = json.dumps(["#CatchmentCoffee", '"catchment coffee"'])
        if "devices" in wanted:
            # Beside the loader's spool: another warehouse, or one that is made anew, gets all messages.
            memory = spool_path("devices").with_name(
                f"taken-{md5(state['broker_password'].encode()).hexdigest()[:8]}.json"
            )
            broker = devices.serve(root / "devices.json", "catchment", state["broker_password"], memory)
            stack.callback(broker.stop)
            options["SOURCES__DEVICES__URL"] = broker.url
            options["SOURCES__DEVICES__TOPICS"] = json.dumps(devices.TOPICS)
            options["SOURCES__DEVICES__RECEIVED_PROPERTY"] = devices.RECEIVED_PROPERTY
        if "google_sheets" in wanted:
            server = google_sheets.serve(latest(root / "google_sheets.json"), lambda: clock(root), state["google_key"])
            stack.callback(server.stop)
            options.servers["google_sheets"] = server
            key = service_account.credentials(server.url, state["google_key"])
            options["SOURCES__GOOGLE_SHEETS__CREDENTIALS"] = key
            options["SOURCES__GOOGLE_SHEETS__BASE_URL"] = server.url
            options["SOURCES__GOOGLE_SHEETS__DRIVE_URL"] = server.url
            options["SOURCES__GOOGLE_SHEETS__TABLES"] = json.dumps(planning.declared(state["seed"]))
        if "spreadsheets" in wanted:
            options["SOURCES__SPREADSHEETS__TABLES"] = json.dumps(reseller_orders.TABLES | stock.TABLES)
        for system, server in options.servers.items():
            server.misbehave.configure(system, os.environ.get("SANDBOX_MISBEHAVE", ""))
        yield options


def clock(root: Path = ROOT) -> date:
    """The day on which the sandbox's clock stands, at midnight UTC: everything in it happened before."""
    return date.fromisoformat(_state(root)["clock"])


def advance(days: int = 1, root: Path = ROOT) -> date:
    """Moves the clock of a made sandbox on by `days`; its systems may be running. Returns the new clock.

    Killed halfway, it may be called again: the clock moves last, and the rows are made those of the new clock.
    """
    root = Path(root).resolve()
    state = _state(root)
    if days < 1:
        raise ValueError("the clock moves forward only: give a number of days from 1")
    database = Database(root / "postgres")
    was_running = database.port is not None
    database.start()
    try:
        with _no_collector():
            until = date.fromisoformat(state["clock"]) + timedelta(days=days)
            company = Company(state["seed"], state["scale"], state["dirt"]).run(until)
            _write(root, company, state, database)
    finally:
        if not was_running:
            database.stop()
    return company.today


def reset(root: Path = ROOT) -> None:
    """Deletes the sandbox's own files, nothing else in `root`. Raises InUse if a process runs it."""
    root = Path(root).resolve()
    with _held(root):
        _wipe(root)


def _wipe(root: Path) -> None:
    for name in ("sandbox", *SHOWN):
        (root / f"{name}.json").unlink(missing_ok=True)
    Database(root / "postgres").stop()  # a killed process may have left it running
    for folder in ("postgres", *FOLDERS.values(), "truth"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _state(root: Path) -> dict:
    try:
        return {"dirt": RATE} | json.loads((Path(root) / "sandbox.json").read_text())  # older ones do not say
    except FileNotFoundError:
        raise FileNotFoundError(f"no sandbox in {root}: start it first, python -m sandbox start") from None


def _prepare(root: Path, scale: float, seed: int, dirt: float, stack: ExitStack) -> dict:
    """The state of the sandbox of this scale, seed, dirt and these systems, made anew unless it is there."""
    asked = {"seed": seed, "scale": scale, "dirt": dirt, "systems": list(SYSTEMS)}
    if (root / "sandbox.json").exists():
        state = _state(root)
        if state | asked == state:
            return state
    _wipe(root)
    state = asked | {
        "password": secrets.token_urlsafe(12),
        "hubspot_token": f"pat-eu1-{uuid4()}",
        "mailchimp_key": f"{secrets.token_hex(16)}-us1",
        "google_key": service_account.new_key(),
        "bluesky_password": "-".join(secrets.token_hex(2) for _ in range(4)),
        "mastodon_token": secrets.token_urlsafe(32),
        "broker_password": secrets.token_urlsafe(12),
    }
    database = Database(root / "postgres")
    stack.callback(database.stop)
    database.start()
    database.create(state["password"])
    with _no_collector():
        _write(root, Company(seed, scale, dirt).run(CLOCK), state, database)
    return state


@contextmanager
def _no_collector() -> Iterator[None]:
    """A company is millions of rows and no cycles of them: to look for some would take longer than to make the rows."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _write(root: Path, company: Company, state: dict, database: Database) -> None:
    """Gives every system the company as it is now; the state with the clock comes last, in one stroke."""
    database.apply(tables(company))
    reseller_orders.write(company, root / "spreadsheets/orders")
    company.visits.archive.write(root / "events")
    company.visits.log.write(root / "logs")
    company.stock.write(root / "spreadsheets")
    company.papers.write(root / "documents")
    company.photos.write(root / "images")
    truth.write(company, root / "truth")
    _replace(root / "hubspot.json", company.crm.tables())
    _replace(root / "mailchimp.json", company.newsletters.tables())
    _replace(root / "google_analytics.json", company.counted_visits.tables())
    _replace(root / "bluesky.json", company.social.tables("bluesky"))
    _replace(root / "mastodon.json", company.social.tables("mastodon"))
    _replace(root / "devices.json", company.devices.tables())
    _replace(root / "google_sheets.json", company.planning.tables())
    state["clock"] = str(company.today)
    _replace(root / "sandbox.json", state)


def _replace(path: Path, value: dict) -> None:
    """Writes `value` for ourselves alone, in one stroke: a reader has the old file or the new one."""
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(value))
    new.replace(path)


@contextmanager
def _held(root: Path) -> Iterator[None]:
    """Keeps `root` to one process; the lock dies with the process, however it ends."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"the sandbox in {root} is running already: stop it, or use another root") from None
        yield


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """SIGTERM leaves the with-block, as Ctrl-C does, so that the systems are stopped."""
    if current_thread() is not main_thread():
        yield  # only the main thread may set handlers
        return

    def leave(*_) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
