"""Who is who, beside splink on public records, and on a million identifiers: `make bench-identity`. Asserts nothing.

Pairwise, over all pairs of records: precision is the share of found pairs that are true, recall the share of true pairs
that are found. Whole processes, ours with dbt's start; memory is a process's peak. IDENTIFIERS=0: no million.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
from contestants import CACHE, Contestant
from measuring import measure

from ingestion.systems import all_systems
from ingestion.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[1]
IDENTIFIERS = int(os.environ.get("IDENTIFIERS") or 1_000_000)
ROUNDS = int(os.environ.get("ROUNDS") or 3)
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


def quality(connection: duckdb.DuckDBPyConnection) -> str:
    """Pairwise figures of the table `told` (person_number: the truth, person_id)."""

    def pairs(columns: str) -> int:
        grouped = f"select count(*) as n from told group by {columns}"
        return connection.execute(f"select coalesce(sum(n * (n - 1) // 2), 0) from ({grouped})").fetchone()[0]

    right, found, true = pairs("person_number, person_id"), pairs("person_id"), pairs("person_number")
    precision, recall = right / found, right / true
    return f"{precision:>10.4f}{recall:>9.4f}{2 * precision * recall / (precision + recall):>9.4f}"


def ours(folder: Path, inputs: str) -> tuple[float, float]:
    """Seconds and MB of the models on what `inputs` puts into a new warehouse, local.duckdb."""
    (folder / "local.duckdb").unlink(missing_ok=True)
    Warehouse(all_systems().values(), folder / "local.duckdb").close()
    with duckdb.connect(str(folder / "local.duckdb")) as connection:
        connection.execute(INPUTS + inputs)
    environment = os.environ | {"DBT_TARGET": "local", "WAREHOUSE_DIR": str(folder), "DBT_TARGET_PATH": str(folder)}
    dbt = [str(Path(sys.executable).parent / "dbt"), "--quiet"]
    subprocess.run([*dbt, "seed", "--select", *SEEDS], cwd=ROOT, env=environment, check=True)
    return measure([*dbt, "run", "--select", *MODELS], environment)


def public(folder: Path, name: str) -> None:
    """Both on one public file, in turn."""
    file = folder / f"{name}.csv"
    for _ in range(ROUNDS):
        seconds, peak = ours(folder, PUBLIC.format(file=file))
        with duckdb.connect(str(folder / "local.duckdb"), read_only=True) as connection:
            connection.execute(f"""
                create temp table told as
                select person_number, person_id from read_csv('{file}', all_varchar = true) as people
                inner join intermediate.int_identity_persons__found as found
                    on found.identifier_value = people.record_id
                where is_present and identifier_type = 'customer'
            """)
            print(f"{name:<10}{'catchment':<12}{quality(connection)}{seconds:>9.1f}{peak:>9.0f}", flush=True)
        script = ROOT / "benchmarks/peers/splink_persons.py"
        command = [f"{CACHE}/splink/bin/python", str(script), str(file), str(folder / "told.csv")]
        seconds, peak = measure(command, dict(os.environ))
        with duckdb.connect() as connection:
            connection.execute(f"""
                create table told as
                select person_number, cluster_id as person_id from read_csv('{file}', all_varchar = true) as people
                inner join read_csv('{folder}/told.csv', all_varchar = true) as found using (record_id)
            """)
            print(f"{name:<10}{'splink':<12}{quality(connection)}{seconds:>9.1f}{peak:>9.0f}", flush=True)


def main() -> None:
    """Prints a line per file and program, then one of the million."""
    splink = Contestant("splink", lambda *_: [], "", "splink")
    splink.install()
    with tempfile.TemporaryDirectory(prefix="catchment-identity-") as name:
        folder = Path(name)
        script = ROOT / "benchmarks/peers/public_people.py"
        subprocess.run([f"{CACHE}/splink/bin/python", script, folder], check=True)
        print(f"{'records':<10}{'program':<12}{'precision':>10}{'recall':>9}{'F1':>9}{'seconds':>9}{'peak MB':>9}")
        for file in ("febrl3", "febrl4"):
            public(folder, file)
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
