"""Who is who, beside splink on public records, on the sandbox with ever more defects, and on a million identifiers.

`make bench-identity`. Asserts nothing.

Pairwise, over all pairs of records: precision is the share of found pairs that are true, recall the share of true pairs
that are found. Whole processes, ours with dbt's start, of the sandbox with all models up to the persons; memory is a
process's peak. ROUNDS=0, DIRTS=none, IDENTIFIERS=0: without that part.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
from contestants import CACHE, Contestant
from measuring import measure

import sandbox
from ingestion.systems import all_systems
from ingestion.warehouse import Warehouse
from tests.persons import TOLD, pairs

ROOT = Path(__file__).resolve().parents[1]
IDENTIFIERS = int(os.environ.get("IDENTIFIERS") or 1_000_000)
ROUNDS = int(os.environ.get("ROUNDS") or 3)
DIRTS = [float(text) for text in (os.environ.get("DIRTS") or "0 0.05 0.1 0.2 0.4").split() if text != "none"]
SCALE = float(os.environ.get("SCALE") or 0.3)
DBT = [str(Path(sys.executable).parent / "dbt"), "--quiet"]
SEEDS = ["nobody_mailboxes", "identity_weights", "identity_overrides"]
MODELS = [
    *("int_person_records__keyed", "int_identifiers__normalised", "int_identifiers__shared"),
    *("int_identifiers__parted", "int_person_pairs__scored"),
    *("int_identity_links__drawn", "int_identity_nodes__numbered", "int_identity_persons__found"),
]
INPUTS = """
    create schema if not exists intermediate;
    create or replace table intermediate.int_email_domains__ascii (domain_name text, ascii_domain_name text);
    create or replace table intermediate.int_identifiers__unioned (
        record_type text, record_id text, identifier_type text, identifier_value text, source_system text,
        is_held boolean, first_seen_at timestamp, last_seen_at timestamp
    );
    create or replace table intermediate.int_person_records__unioned (
        record_type text, record_id text, source_system text, email text, phone text, first_name text, last_name text,
        full_name text, company_name text, street_line text, postal_code text, city text, country_code text,
        language_code text, birth_date date, created_at timestamp, updated_at timestamp
    );
"""
PUBLIC = """
    insert into intermediate.int_person_records__unioned by name
    select 'customer' as record_type, record_id, 'public' as source_system, first_name, last_name,
        nullif(trim(concat(first_name, ' ', last_name)), '') as full_name, street_line, postal_code, city,
        'AU' as country_code, try_cast(birth_date as date) as birth_date, timestamp '2020-01-01' as created_at
    from read_csv('{file}', all_varchar = true);
    insert into intermediate.int_identifiers__unioned
    select 'customer', record_id, 'national_id', national_id, 'public', true, timestamp '2020-01-01', null
    from read_csv('{file}', all_varchar = true) where national_id is not null;
"""
# A quarter of a million people: an account each, a second one of some, contacts, members, and a browser or two.
MANY = """
    create temp table people as
    select number, format('{{:x}}', hash(number)) as code,
        timestamp '2025-01-01' + interval (number % 500) day as since,
        translate(substr(md5(number::text), 1, 7), '0123456789abcdef', 'aeiousnrtlmkdbgp') as last_name,
        translate(substr(md5('f' || (hash(number) % 700)), 1, 5), '0123456789abcdef', 'aeiousnrtlmkdbgp') as first_name
    from range({people}) as numbers (number);
    create temp table records as
    select 'customer' as kind, 'shop:' || number as id, code || '@mail.example' as email, * from people union all
    select 'customer', 'shop:b' || number, code || '+b@mail.example', * from people where number % 20 = 0 union all
    select 'contact', 'crm:' || number, code || '@mail.example', * from people where number % 3 = 0 union all
    select 'audience_member', 'news:' || number, code || '@mail.example', * from people where number % 2 = 0;
    insert into intermediate.int_person_records__unioned by name
    select kind as record_type, id as record_id, split_part(id, ':', 1) as source_system, email, first_name, last_name,
        '+4930' || lpad(number::text, 8, '0') as phone, first_name || ' ' || last_name as full_name, since as created_at
    from records;
    insert into intermediate.int_identifiers__unioned
    select kind, id, 'email', email, split_part(id, ':', 1), true, since, null from records union all
    select kind, id, 'phone', '+4930' || lpad(number::text, 8, '0'), split_part(id, ':', 1), true, since, null
    from records union all
    select 'customer', 'shop:' || number, 'visitor', 'web:' || code || '-' || nth, 'web', true, since, null
    from people cross join range(1 + (number % 3 = 0)::int) as nths (nth);
"""


def quality(connection: duckdb.DuckDBPyConnection, told: str) -> str:
    """Pairwise figures of what `told` selects (person_number: the truth, person_id)."""
    right, found, true = connection.execute(pairs(told)).fetchone()
    precision, recall = right / found, right / true
    return f"{precision:>10.4f}{recall:>9.4f}{2 * precision * recall / (precision + recall):>9.4f}"


def ours(folder: Path, inputs: str) -> tuple[float, float]:
    """Seconds and MB of the models on what `inputs` puts into a new warehouse, local.duckdb."""
    (folder / "local.duckdb").unlink(missing_ok=True)
    Warehouse(all_systems().values(), folder / "local.duckdb").close()
    with duckdb.connect(str(folder / "local.duckdb")) as connection:
        connection.execute(INPUTS + inputs)
    environment = os.environ | {"DBT_TARGET": "local", "WAREHOUSE_DIR": str(folder), "DBT_TARGET_PATH": str(folder)}
    subprocess.run([*DBT, "seed", "--select", *SEEDS], cwd=ROOT, env=environment, check=True)
    return measure([*DBT, "run", "--select", *MODELS], environment)


def public(folder: Path, name: str) -> None:
    """Both on one public file, in turn."""
    file = folder / f"{name}.csv"
    for _ in range(ROUNDS):
        seconds, peak = ours(folder, PUBLIC.format(file=file))
        with duckdb.connect(str(folder / "local.duckdb"), read_only=True) as connection:
            figures = quality(
                connection,
                f"""
                select person_number, person_id from read_csv('{file}', all_varchar = true) as people
                inner join intermediate.int_identity_persons__found as found
                    on found.identifier_value = people.record_id
                where is_present and identifier_type = 'customer'
            """,
            )
            print(f"{name:<10}{'catchment':<12}{figures}{seconds:>9.1f}{peak:>9.0f}", flush=True)
        script = ROOT / "benchmarks/peers/splink_persons.py"
        command = [f"{CACHE}/splink/bin/python", str(script), str(file), str(folder / "told.csv")]
        seconds, peak = measure(command, dict(os.environ))
        with duckdb.connect() as connection:
            figures = quality(
                connection,
                f"""
                select person_number, cluster_id as person_id from read_csv('{file}', all_varchar = true) as people
                inner join read_csv('{folder}/told.csv', all_varchar = true) as found using (record_id)
            """,
            )
            print(f"{name:<10}{'splink':<12}{figures}{seconds:>9.1f}{peak:>9.0f}", flush=True)


def dirty(folder: Path, dirt: float) -> None:
    """Ours on the sandbox with this share of each defect."""
    root = folder / f"sandbox-{dirt}"
    environment = os.environ | {"DBT_TARGET": "local", "WAREHOUSE_DIR": str(root), "DBT_TARGET_PATH": str(folder)}
    with sandbox.running(root=root, scale=SCALE, dirt=dirt) as options:
        command = [sys.executable, "-m", "ingestion", "run"]
        subprocess.run(command, cwd=ROOT, env=environment | options, stdout=subprocess.DEVNULL, check=True)
    command = [*DBT, "build", "--select", "+int_persons__by_identifier", "--exclude-resource-type", "test", "unit_test"]
    seconds, peak = measure(command, environment)
    with duckdb.connect(str(root / "local.duckdb"), read_only=True) as connection:
        for path in (root / "truth").glob("*.csv"):
            connection.execute(f"create temp view true_{path.stem} as from read_csv('{path}', all_varchar = true)")
        print(
            f"{f'dirt {dirt:.0%}':<10}{'catchment':<12}{quality(connection, TOLD)}{seconds:>9.1f}{peak:>9.0f}",
            flush=True,
        )
    sandbox.reset(root)


def main() -> None:
    """Prints a line per file and program, one per share of defects, then one of the million."""
    splink = Contestant("splink", lambda *_: [], "", "splink")
    splink.install()
    with tempfile.TemporaryDirectory(prefix="catchment-identity-") as name:
        folder = Path(name)
        script = ROOT / "benchmarks/peers/public_people.py"
        subprocess.run([f"{CACHE}/splink/bin/python", script, folder], check=True)
        print(f"{'records':<10}{'program':<12}{'precision':>10}{'recall':>9}{'F1':>9}{'seconds':>9}{'peak MB':>9}")
        for file in ("febrl3", "febrl4"):
            public(folder, file)
        for dirt in DIRTS:
            dirty(folder, dirt)
        if IDENTIFIERS:
            seconds, peak = ours(folder, MANY.format(people=round(IDENTIFIERS / 4.97)))
            with duckdb.connect(str(folder / "local.duckdb"), read_only=True) as connection:
                count = connection.table("intermediate.int_identifiers__unioned").shape[0]
                persons = (
                    "select count(distinct person_id) from intermediate.int_identity_persons__found where is_present"
                )
                people = connection.execute(persons).fetchone()[0]
            print(f"{count:,} identifiers, {people:,} persons: {seconds:.1f} s, {peak:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
