"""The command line: exit codes, messages, and that no secret is shown or stored.

Most commands run in this process; some as one of their own, as a person would run them.
"""

import fcntl
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from conftest import DAY, PASSWORD, command

from ingestion import scaffold, spreadsheets
from ingestion.errors import explain, keep_secret, scrub
from ingestion.systems import all_systems


@pytest.fixture
def partners(tmp_path, monkeypatch):
    """A folder of spreadsheets with one good and one bad line of an order."""
    folder = tmp_path / "partners"
    folder.mkdir()
    fields = [f.name for f in spreadsheets.OrderLines.fields[1:]]
    good = "A-1,1,2026-03-01,,,,DE,sku,Coffee,1,1.5,EUR,0,0"
    lines = [",".join(fields), good, good.replace("A-1", "A-2").replace("1.5", "cheap")]
    (folder / "orders.csv").write_text("\n".join(lines))
    tables = {"order_lines": {"acme": {"files": "*.csv", "values": {"reseller": "acme"}}}}
    monkeypatch.setenv("SOURCES__SPREADSHEETS__TABLES", json.dumps(tables))
    monkeypatch.setenv("SOURCES__SPREADSHEETS__FOLDER", str(folder))
    return folder


def test_list(run, monkeypatch):
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", "postgresql://u:p@h/d")
    code, out, _ = run("list")
    assert code == 0
    for system in all_systems().values():
        assert f"{system.name}: {system.description}" in out
        for stream in system.streams:
            assert re.search(rf"^  {stream.name} .*{re.escape(stream.contract.description)}", out, re.MULTILINE)
    assert "  configured\n  customers" in out
    assert "not configured: set SOURCES__EXCHANGE_RATES__BASE_URL" in out
    assert "--since/--until by updated_at" in out
    code, out, _ = run("list", "spreadsheets")
    assert code == 0 and "shop" not in out
    monkeypatch.setenv("DBT_TARGET", "sandbox")
    assert "configured: by the sandbox" in run("list")[1]


def test_unknown_system(run):
    for name in ("list", "check", "run", "replay", "scaffold"):
        code, _, err = run(name, "nothing")
        assert code == 2
        known = ", ".join(all_systems())
        assert err == f"ingestion: there is no system nothing; there are: {known}\n"


def test_what_is_not_configured(run, partners):
    assert run("run", "shop")[::2] == (
        2,
        "ingestion: not configured: shop needs SOURCES__SHOP__CREDENTIALS (as environment or in .dlt/secrets.toml)\n",
    )
    code, out, err = run("check")
    assert code == 0 and not err
    assert [line.split(".")[0] for line in out.splitlines()] == ["spreadsheets"] * 5, "others are left out"
    assert "spreadsheets.order_lines: ok, 1 files\n" in out
    code, _, err = run("check", "spreadsheets", "shop")
    assert code == 2 and "shop needs SOURCES__SHOP__CREDENTIALS" in err


def test_nothing_is_configured(run):
    code, _, err = run("run")
    assert code == 2
    assert err.startswith("ingestion: not configured: ") and "SOURCES__SPREADSHEETS__FOLDER" in err


def test_wrong_target(run, monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "prod")
    assert run("run")[::2] == (2, "ingestion: DBT_TARGET is 'prod': set it to sandbox or local or spark\n")


@pytest.mark.parametrize("arguments", [["run", "--since", "yesterday"], ["walk"], [], ["run", "--sinse", "2026-01-01"]])
def test_wrong_arguments(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2 and "usage: python -m ingestion" in err


def test_run_and_status(run, partners, monkeypatch):
    """One system is loaded with a rejected row, another can't be reached: exit 1, and status says both."""
    monkeypatch.setenv("SOURCES__EXCHANGE_RATES__BASE_URL", "not-a-url")
    code, out, err = run("run")
    assert code == 1, err
    assert "spreadsheets.order_lines: reading\n" in out
    assert re.search(r"^spreadsheets\.order_lines +2 +1 +0 +1 +0 +ok *$", out, re.MULTILINE)
    assert re.search(r"^exchange_rates\.rates +0 +0 +0 +0 +0 +failed *$", out, re.MULTILINE)
    assert "failed: exchange_rates.currencies: not-a-url/currencies is not a URL: correct the option base_url" in out
    assert re.search(r"note: .*1 rows? do(es)? not fit", out)
    assert re.search(r"local: loaded into .*/a warehouse/local\.duckdb in \d+\.\d s", out)
    assert "\x1b" not in out, "plain lines where there is no terminal"

    code, out, _ = run("status", "--json")
    assert code == 0
    by_stream = {f"{row['system']}.{row['stream']}": row for row in json.loads(out)}
    lines = by_stream["spreadsheets.order_lines"]
    assert (lines["rows_loaded"], lines["rows_rejected_last"], lines["rows_rejected_open"]) == (1, 1, 1)
    assert lines["last_status"] == "complete" and lines["last_success_at"] and lines["hours_since_success"] < 1
    rates = by_stream["exchange_rates.rates"]
    assert (rates["last_status"], rates["last_success_at"]) == ("failed", None)
    assert "is not a URL" in rates["error"]
    code, out, _ = run("status")
    assert code == 0 and re.search(r"^exchange_rates\.rates +never .* failed: not-a-url", out, re.MULTILINE)

    code, out, _ = run("replay", "spreadsheets")
    assert (code, out) == (0, "spreadsheets.order_lines: 0 loaded, 1 still rejected\n")
    assert run("replay", "shop")[:2] == (0, "shop: no rejected rows to replay\n")


def test_warehouse_that_is_open_in_another_process(run, partners, warehouse):
    """It is named, nothing is tried, and once it is gone all is well."""
    warehouse.folder.mkdir()
    hold = f"import duckdb; c = duckdb.connect({str(warehouse.file)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout.readline() == "open\n"
        code, _, err = run("status")
        assert run("run") == (code, "", err)
        holder.communicate("\n")
    assert code == 2
    assert err.startswith(f"ingestion: {warehouse.file} is open in another process: ")
    assert "python" in err and f"(PID {holder.pid})" in err and err.endswith("Close it there and run again\n")
    assert run("status")[0] == 0


def test_status_before_anything_was_loaded(run):
    assert run("status", "--json")[:2] == (0, "[]\n")
    assert run("status")[0] == 0


def test_since_where_no_stream_has_a_cursor(run, partners):
    code, _, err = run("run", "--since", "2026-03-02")
    assert code == 2 and "none of these streams can be bounded by --since or --until" in err


def test_options_of_run(run, shop):
    for number in (1, 2, 3):
        shop.customer(number, DAY.replace(day=number))
    code, out, _ = run("run", "shop", "--since", "2026-03-02", "--until", "2026-03-03T00:00:00+00:00")
    assert code == 0 and re.search(r"^shop\.customers +1 +1 +0 +0 +0 +ok", out, re.MULTILINE)
    shop.execute("delete from customers")
    code, out, _ = run("run", "shop", "--accept-deletes")
    assert code == 0 and re.search(r"^shop\.customers +0 +0 +0 +0 +1 +ok", out, re.MULTILINE)


def test_check_of_a_database(run, shop):
    shop.execute("drop table refunds; revoke select on payments from catchment_reader")
    code, out, _ = run("check", "shop")
    assert code == 1
    assert "shop.customers: ok, 0 rows\n" in out
    assert "shop.refunds: failed: there is no table refunds in 127.0.0.1:" in out
    assert 'shop.payments: failed: role catchment_reader may not read "public"."payments"' in out


def test_scaffold(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("scaffold", "shop")
    assert (code, out) == (0, "wrote models/staging/shop/_shop__sources.yml\n")
    assert Path(out.split()[1]).read_text() == scaffold.sources(all_systems()["shop"])


def test_interrupted(partners):
    """Ctrl-C ends with a line, not a traceback."""
    code = "import signal, os; from ingestion import __main__ as m; m.run_command = lambda p: os.kill(os.getpid(), 2); "
    process = subprocess.run(
        [sys.executable, "-c", code + "raise SystemExit(m.main(['run']))"], capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr == "ingestion: interrupted; the next run goes on from what was loaded\n"


# As processes of their own.


def test_sandbox_and_credentials(run, monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "sandbox")
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", "postgresql://me:hunter2@db/shop")
    expected = (
        "DBT_TARGET is sandbox, but SOURCES__SHOP__CREDENTIALS is set: set DBT_TARGET=local to load your own data"
    )
    for name in ("run", "check"):
        assert run(name) == (2, "", f"ingestion: {expected}\n")


@pytest.fixture
def sandbox_root(monkeypatch):
    """Not below pytest's own folder, see the fixture postgres."""
    with tempfile.TemporaryDirectory(prefix="catchment-sandbox-") as folder:
        monkeypatch.setenv("SANDBOX_ROOT", folder)
        monkeypatch.setenv("SANDBOX_SCALE", "0.01")
        monkeypatch.setenv("DBT_TARGET", "sandbox")
        yield Path(folder)


def test_sandbox_that_is_in_use(sandbox_root):
    with (sandbox_root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = command("run")
    assert result.returncode == 2
    assert result.stderr.startswith("ingestion: the sandbox in ") and "is running already" in result.stderr


# Secrets.


@pytest.mark.parametrize("is_right", [True, False])
def test_password_is_nowhere(run, shop, warehouse, tmp_path, monkeypatch, is_right):
    """Neither shown, nor in the warehouse, nor in dlt's folder: not as it is, nor percent-encoded."""
    password = PASSWORD if is_right else "wr0ng pä55@/word:#1"
    encoded = quote(password, safe="")
    credentials = shop.credentials.replace(quote(PASSWORD, safe=""), encoded)
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", credentials)
    shop.customer(1)
    code, *shown = run("run", "shop")
    assert code == (0 if is_right else 1)
    shown += run("status", "--json")[1:] + run("check", "shop")[1:] + run("list")[1:]
    assert is_right or "authentication failed" in shown[0]
    with duckdb.connect(str(warehouse.file)) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        rows = [connection.execute(f"from {schema}.{table}").fetchall() for schema, table in tables]
    assert len(tables) > 10
    files = [path.read_bytes() for path in (tmp_path / "a warehouse").rglob("*") if path.is_file()]
    everything = [text.encode() for text in (*shown, str(rows))] + files
    for secret in (password, encoded):
        assert not any(secret.encode() in text for text in everything)


def test_scrub():
    keep_secret(["postgresql://me:p%40ss%2Fword@host:5432/db", "", "abc"])
    assert scrub("p@ss/word, p%40ss%2Fword, postgresql://me:p%40ss%2Fword@host:5432/db") == "***, ***, ***"
    assert scrub("host db me abc") == "host db me abc", "what is too short to be a secret stays"
    assert explain(ValueError("p@ss/word\nis wrong")) == "ValueError: *** is wrong"
