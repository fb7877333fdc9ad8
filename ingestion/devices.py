"""Devices: what they measure and publish over MQTT, as JSON: {ts, v}, {ts, metrics: {...}}, or lists of these.

A message is acknowledged when it is in the spool (`ingestion.spool`), from which runs load it.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion import live
from ingestion.contract import FAULT, ORIGINAL, UNKNOWN, contract, copy_to_parquet, field, literal, other_members
from ingestion.errors import PartFailed, SourceError, explain
from ingestion.mqtt import Message, Subscriber
from ingestion.pipeline import spool_path
from ingestion.reading import resources
from ingestion.spool import InUse, Spool
from ingestion.stream import Event, Page, Query, Run, Stream, Window


@contract
class Readings:
    """One value of one metric of a device, as it was sent; a device may send it again."""

    reading_id: str = field(
        "Topic, metric, device time and sequence; without a sequence a hash of topic, metric and what was sent.",
        key=True,
    )
    device_id: str = field("The device, from the topic.")
    metric: str = field("What was measured, from the payload or the topic.")
    sequence: int | None = field("The device's own number of the message.")
    value: float | None = field("The value; of true and false 1 and 0. Null where it is no number.")
    value_text: str | None = field("The value as it was sent, where `value` does not say it all.")
    topic: str = field("The topic of the message.")
    is_retained: bool = field("The broker had kept it as the last of its topic, and sent it as we subscribed.")
    measured_at: datetime = field("When it was measured, by the device's clock (UTC).")
    received_at: datetime = field("When it was received, by our clock, or by the broker's if it tells that (UTC).")


STREAMS = [Stream("readings", Readings, Event())]

SCHEMA = pa.schema(
    [
        ("received_at", pa.timestamp("us", "UTC")),
        ("topic", pa.string()),
        ("payload", pa.binary()),
        ("size", pa.int64()),
        ("is_retained", pa.bool_()),
    ]
)
"""Of the spool's files: a row per message. `payload` has the first MiB of what had `size` bytes."""

QUIET = 2.0
"""Seconds without anything new after which all has come that the broker had."""

FILES = 200
"""Files of the spool that one statement reads."""


class Reader:
    """Drains the broker into the spool, unless a collector does that, and reads the spool."""

    is_live = True

    def __init__(self, url: str, topics: list[str], client_id: str, protocol: str, received_property: str) -> None:
        self.topics = [_Topic(topic) for topic in topics]
        if not topics:
            raise SourceError("SOURCES__DEVICES__TOPICS is empty: name at least one, as machines/{device}/{metric}")
        self.spool, self.db = Spool(spool_path("devices"), SCHEMA), contracts.engine()
        filters = [topic.filter for topic in self.topics]
        subscriber = Subscriber(url, client_id, filters, protocol, received_property)
        self.source = Broker(subscriber, self.spool.folder)

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields pages of the spool's files; those that the run before has loaded go."""
        for name in window.state.get("files", ()):  # before all else, which may need their room
            (self.spool.folder / name).unlink(missing_ok=True)
        failure = None
        try:
            window.notes += self.spool.notes()
            live.drain(self.source, self.spool, window.notes.append)
        except InUse:
            pass  # whoever collects adds what comes
        except (SourceError, OSError) as error:
            failure = explain(error)
        files = self.spool.files()
        window.state["files"] = [file.name for file in files]
        for start in range(0, len(files), FILES):
            yield self._page(files[start : start + FILES])
        if failure:
            raise PartFailed(failure)

    def check(self, stream: Stream) -> str:
        """Connects as another client, and says how much the spool holds; raises SourceError if the broker refuses."""
        subscriber = self.source.subscriber
        subscriber.client_id += "-check"
        subscriber.connect(is_to_stay=False)
        while not subscriber.is_subscribed:
            subscriber.receive(0.5)
        return f"{len(self.spool.files()):,} files in {self.spool.folder}"

    def close(self) -> None:
        """Lets go of the broker, and of the engine that takes payloads apart."""
        self.source.close()
        self.db.close()

    def _page(self, files: list[Path]) -> Page:
        names = [*(f.source for f in Readings.fields), "_position", UNKNOWN, FAULT, ORIGINAL]
        query = Query(
            _readings(files, self.topics),
            dict.fromkeys(names, "VARCHAR"),
            lambda sql, path: copy_to_parquet(self.db, sql, path),
        )
        return Page(query, datetime.now(UTC))


class Broker:
    """The broker as a live source. `folder` remembers that it knew us."""

    def __init__(self, subscriber: Subscriber, folder: Path) -> None:
        self.subscriber, self.folder, self._not_granted_at = subscriber, folder, 0.0

    def connect(self) -> list[str]:
        """Connects to the broker; returns what a person should know."""
        known = self.folder / f".{self.subscriber.client_id.replace('/', '_')}"
        is_known = self.subscriber.connect()
        was_there, since = known.exists(), known.stat().st_mtime if known.exists() else 0
        known.touch()
        if was_there and not is_known:
            moment = datetime.fromtimestamp(since, UTC)
            return [
                f"{self.subscriber.where} has forgotten us: what was sent since we were connected (last at "
                f"{moment:%Y-%m-%d %H:%M} UTC or later) is lost, but for what is retained"
            ]
        if not is_known:
            return [f"{self.subscriber.where} keeps from now on what comes while nobody collects"]
        return []

    def has_all(self, quiet: float) -> bool:
        """A broker does not tell: whether it has granted the topics, and nothing has come for a while since."""
        if not self.subscriber.is_subscribed:
            self._not_granted_at = time.monotonic()
        return min(quiet, time.monotonic() - self._not_granted_at) > QUIET

    def is_between(self) -> bool:
        """Each message is for itself."""
        return True

    def receive(self, seconds: float) -> list[Message]:
        """What comes within so many seconds."""
        return self.subscriber.receive(seconds)

    def record(self, message: Message) -> tuple:
        """A message as the spool has it."""
        return message[:5]

    def acknowledge(self, messages: list[Message]) -> None:
        """Tells the broker that they are safe."""
        self.subscriber.acknowledge(messages)

    def close(self) -> None:
        """Leaves the broker."""
        self.subscriber.close()


class _Topic:
    """`machines/{device}/{metric}`: levels in braces differ. All of them but `metric` together name the device."""

    def __init__(self, template: str) -> None:
        levels = template.split("/")
        named = [level[1:-1] for level in levels if re.fullmatch(r"\{\w+\}", level)]
        is_filter = all("#" not in level or (level == "#" and n == len(levels) - 1) for n, level in enumerate(levels))
        odd = [level for level in levels if re.search(r"[{}+]", level) and not re.fullmatch(r"\{\w+\}|\+", level)]
        if "device" not in named or len(set(named)) < len(named) or not is_filter or odd or levels[0] == "$share":
            raise SourceError(
                f"the topic {template} is not as machines/{{device}}/{{metric}}: one level is {{device}}; others may be"
                " {metric}, {anything} that names the device too, or +, and the last one #; $share is not supported"
            )
        self.filter = "/".join("+" if level[:1] == "{" else level for level in levels)
        self.names = named
        parts = ["([^/]+)" if level[:1] == "{" else "[^/]*" if level == "+" else re.escape(level) for level in levels]
        self.pattern = "(?s)^" + "/".join(parts).replace("/\\#", "(?:/.*)?") + "$"

    @property
    def device(self) -> str:
        """SQL for the device; null where the topic is another."""
        levels = " || '/' || ".join(self._level(name) for name in self.names if name != "metric")
        return f"case when regexp_matches(topic, {literal(self.pattern)}) then {levels} end"

    @property
    def metric(self) -> str:
        """SQL for the metric; null where the topic is another, or names none."""
        return f"nullif({self._level('metric')}, '')" if "metric" in self.names else "null"

    def _level(self, name: str) -> str:
        return f"regexp_extract(topic, {literal(self.pattern)}, {self.names.index(name) + 1})"


def _readings(files: list[Path], topics: list[_Topic]) -> str:
    """SQL for the readings in files of the spool, as texts."""
    listed = ", ".join(literal(str(file)) for file in files)
    devices, metrics = (", ".join(getattr(topic, name) for topic in topics) for name in ("device", "metric"))
    number = "try_cast(time as double)"
    return f"""
        with messages as (
            select *, coalesce({devices}) as device_id, cast(coalesce({metrics}) as varchar) as topic_metric,
                parse_filename(filename) || ':' || (file_row_number + 1) as position, try(decode(payload)) as text
            from read_parquet([{listed}], filename = true, file_row_number = true)
        ),
        read as (
            select *,
                case
                    when size > octet_length(payload) then 'the payload has ' || size || ' bytes, too many to be kept'
                    when text is null then 'the payload is not UTF-8'
                    when not json_valid(text) then 'the payload is no JSON'
                    when device_id is null then 'the topic is none of those that are configured'
                end as fault
            from messages
        ),
        parts as (
            select *,
                unnest(
                    case
                        when fault is not null then [null]
                        when json_type(text) = 'ARRAY' and json_array_length(text) > 0 then from_json(text, '["JSON"]')
                        else [cast(text as json)]
                    end
                ) as part
            from read
        ),
        -- What is the same for all metrics of a message is worked out once, and its text not carried along.
        opened as (
            select device_id, topic_metric, topic, is_retained, received_at, position,
                json_extract_string(part, '$.ts') as time, json_type(part, '$.ts') as time_type,
                nullif(json_extract_string(part, '$.seq'), '') as sequence, md5(part) as part_hash,
                case when json_type(part) = 'OBJECT' then {other_members("part", ["ts", "v", "metrics", "seq"])} end
                    as {UNKNOWN},
                try(from_json(json_extract(part, '$.metrics'), '"MAP(VARCHAR, JSON)"')) as metrics,
                json_extract(part, '$.v') as v, json_type(part, '$.metrics') as metrics_type,
                case
                    when fault is not null then fault
                    when json_type(part) <> 'OBJECT' then 'this is no JSON object with ts and v or metrics'
                    when v is null and coalesce(metrics_type, 'NULL') = 'NULL' then 'there is neither v nor metrics'
                    when metrics_type is null then null
                    when v is not null then 'there are both v and metrics'
                    when metrics_type <> 'OBJECT' then 'metrics is no JSON object'
                    when metrics is null or len(list_distinct(map_keys(metrics))) < cardinality(metrics)
                    then 'a metric is there twice'
                    when cardinality(metrics) = 0 then 'there is neither v nor metrics'
                end as part_fault,
                case
                    when part_fault is not null or metrics is null
                    then coalesce(part, to_json(text), to_json(base64(payload)))
                end as original
            from parts
        ),
        valued as (
            select * exclude (v, metrics), entry is not null as is_of_metrics, entry.key as payload_metric,
                case when entry is null then v else coalesce(entry.value, 'null') end as v
            from (
                select *,
                    unnest(
                        case when part_fault is null and metrics is not null then map_entries(metrics) else [null] end
                    ) as entry
                from opened
            )
        ),
        typed as (
            select *, coalesce(payload_metric, topic_metric) as metric,
                if(json_type(v) = 'NULL', null, v ->> '$') as value_text,
                json_type(v) in ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') and isfinite(try_cast(v ->> '$' as double))
                    as is_number,
                case
                    when time_type in ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') then coalesce(
                        cast(
                            make_timestamptz(
                                try_cast(
                                    round(
                                        {number} * case
                                            when abs({number}) < 1e11 then 1e6
                                            when abs({number}) < 1e14 then 1e3
                                            when abs({number}) < 1e17 then 1
                                            else 1e-3
                                        end
                                    ) as bigint
                                )
                            ) as varchar
                        ),
                        time
                    )
                    else time
                end as measured_at
            from valued
        )
        select
            case
                when sequence is not null
                then cast(to_json([topic, metric, measured_at, sequence]) as varchar)
                else md5(cast(to_json([topic, metric, part_hash]) as varchar))
            end as reading_id,
            device_id, metric, sequence,
            case when is_number then value_text when json_type(v) = 'BOOLEAN' then if(value_text = 'true', '1', '0') end
                as "value",
            case
                when is_number and len(regexp_replace(value_text, '[^0-9]', '', 'g')) <= 15 then null else value_text
            end as value_text,
            topic, cast(is_retained as varchar) as is_retained, measured_at,
            cast(received_at as varchar) as received_at, position as _position, {UNKNOWN},
            case
                when part_fault is not null then part_fault
                when metric is null then 'neither topic nor payload has a metric'
            end as {FAULT},
            cast(
                json_object(
                    'topic', topic, 'received_at', cast(received_at as varchar),
                    'payload', coalesce(
                        original, json_object('ts', time, 'seq', sequence, 'metrics', json_object(payload_metric, v))
                    )
                ) as varchar
            ) as {ORIGINAL}
        from typed
    """


@dlt.source
def devices(
    url: str = dlt.secrets.value,
    topics: list[str] = dlt.config.value,
    client_id: str = "catchment",
    protocol: str = "5",
    received_property: str = "",
    run: Run | None = None,
):
    """What devices publish to the MQTT broker at `url`, as mqtts://user:password@host.

    `topics` say where the device's name is, and the metric's if that is no matter of the payload:
    ["machines/{device}/{metric}"]. By `client_id` the broker knows for whom it keeps messages: one per warehouse.
    `received_property` is the user property in which the broker tells when it received a message.
    """
    return resources(STREAMS, Reader(url, topics, client_id, protocol, received_property), run)
