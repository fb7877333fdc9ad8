"""Lakes and archives on S3: the loaders against a server that speaks as S3 does, over HTTP on loopback."""

import gzip
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import duckdb
import pytest

from sandbox.cluster import free_port
from sandbox.workbooks import xlsx

ROOT = Path(__file__).parents[2]
HEADER = (
    "order_number,line_number,ordered_on,customer_email,customer_name,country,sku,product_name,quantity,unit_price,"
    "currency,tax_amount,shipping_amount\n"
)
TABLES = json.dumps(
    {
        "order_lines": {
            "one": {"files": "orders/*.csv", "values": {"reseller": "one"}, "columns": {"customer_phone": ""}}
        }
    }
)
KEY, SECRET = "AKIATESTTESTTEST", "a secret that shows up nowhere"


@pytest.fixture(scope="module")
def storage():
    """The server's URL; it has the bucket `lake`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    bucket(url).create()
    yield url
    server.kill()
    server.wait()


def bucket(url):
    session = boto3.Session(KEY, SECRET, region_name="us-east-1")
    return session.resource("s3", endpoint_url=url).Bucket("lake")


def command(storage, folder, *arguments, name="lake", **more):
    environment = {
        **os.environ,
        "DBT_TARGET": "spark",
        "WAREHOUSE_DIR": str(folder),
        "LAKE_URL": f"s3://{name}/some/where",
        "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID": KEY,
        "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY": SECRET,
        "DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL": storage,
        "SOURCES__SPREADSHEETS__FOLDER": str(folder / "partners"),
        "SOURCES__SPREADSHEETS__TABLES": TABLES,
        **more,
    }
    result = subprocess.run(
        [sys.executable, "-m", "ingestion", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert SECRET not in result.stdout + result.stderr
    return result


def test_load_and_load_again(storage, tmp_path):
    (tmp_path / "partners/orders").mkdir(parents=True)
    (tmp_path / "partners/orders/2026-01.csv").write_text(HEADER + "K-1,1,2026-01-05,,,DE,A,Coffee,2,3.50,EUR,0.5,1\n")
    first = command(storage, tmp_path, "run")
    assert "loaded into s3://lake/some/where" in first.stdout, first.stdout + first.stderr
    keys = {item.key for item in bucket(storage).objects.all()}
    assert "some/where/raw_shop/orders/schema.parquet" in keys
    assert any(key.startswith("some/where/raw_spreadsheets/order_lines/1") for key in keys), keys
    status = command(storage, tmp_path, "status")
    assert status.returncode == 0 and "spreadsheets.order_lines" in status.stdout
    (tmp_path / "partners/orders/2026-02.csv").write_text(HEADER + "K-2,1,2026-02-05,,,DE,A,Coffee,2,x,EUR,0.5,1\n")
    second = command(storage, tmp_path, "run")
    (row,) = [line.split() for line in second.stdout.splitlines() if line.startswith("spreadsheets.order_lines  ")]
    assert row[1:5] == ["1", "0", "0", "1"], second.stdout  # read, loaded, unchanged, rejected


def test_bucket_that_is_not_there(storage, tmp_path):
    result = command(storage, tmp_path, "status", name="nowhere")
    assert result.returncode == 2 and "can't open or write the lake s3://nowhere/some/where: " in result.stderr


def test_spreadsheets_in_a_bucket(storage, tmp_path):
    """Read once, when they are new; what is gone is gone."""
    options = {
        "SOURCES__SPREADSHEETS__FOLDER": "s3://lake/partners",
        "SOURCES__SPREADSHEETS__STORAGE": json.dumps({"key": KEY, "secret": SECRET, "endpoint_url": storage}),
    }

    def run():
        result = command(storage, tmp_path, "run", "spreadsheets", **options)
        lines = [line.split() for line in result.stdout.splitlines() if line.startswith("spreadsheets.")]
        return {line[0].partition(".")[2]: [int(number) for number in line[1:6]] for line in lines if line[1].isdigit()}

    put = bucket(storage).put_object
    put(Key="partners/orders/1.csv", Body=f"{HEADER}K-9,1,2026-01-05,,,DE,A,Coffee,2,3.50,EUR,0.5,1\n".encode())
    put(Key="partners/plan.xlsx", Body=xlsx({"Plan": [["a"], [1.5]]}))
    put(Key="partners/cut.xlsx", Body=xlsx({"Plan": [["a"]]})[:2000])
    first = run()
    assert first["files"][:2] == [3, 3] and first["order_lines"][:2] == [1, 1] and first["rows"][:2] == [2, 2]
    put(Key="partners/plan.xlsx", Body=xlsx({"Plan": [["a"], [1.5], [2]]}))
    bucket(storage).delete_objects(Delete={"Objects": [{"Key": "partners/cut.xlsx"}]})
    second = run()
    assert second["files"] == [1, 1, 0, 0, 1] and second["order_lines"][:2] == [0, 0] and second["rows"][:2] == [3, 3]


def test_an_archive_of_events(storage, tmp_path):
    """Lines and Parquet from a bucket; only what is new the next time."""
    archive = {
        "SOURCES__EVENTS__FOLDER": "s3://lake/archive",
        "SOURCES__EVENTS__STORAGE": json.dumps({"key": KEY, "secret": SECRET, "endpoint_url": storage}),
    }

    def run():
        result = command(storage, tmp_path, "run", "events", **archive)
        (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("events.events  ")]
        return [int(number) for number in row[1:3]]

    bucket(storage).put_object(
        Key="archive/2026/a.json.gz", Body=gzip.compress(b'{"messageId": "1", "type": "page"}\n' * 2)
    )
    table = tmp_path / "a.parquet"
    duckdb.sql("select 'p' || i as messageId, 'page' as type from range(3) as numbers(i)").write_parquet(str(table))
    bucket(storage).put_object(Key="archive/2026/b.parquet", Body=table.read_bytes())
    assert run() == [5, 4]  # one of them is there twice
    bucket(storage).put_object(Key="archive/2026/c.json", Body=b'{"messageId": "2", "type": "page"}\n')
    assert run() == [1, 1]
    archive["SOURCES__EVENTS__FOLDER"] = "s3://nowhere/archive"
    result = command(storage, tmp_path, "check", "events", **archive)
    assert result.returncode == 1 and "s3://nowhere/archive" in result.stdout + result.stderr, result
    assert "SOURCES__EVENTS__FOLDER" in result.stdout + result.stderr
