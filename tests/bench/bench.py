"""CPU per item, throughput, memory and threads of each program, beside its floors of the same run.

    tests/bench/run [--items N] [--records M] [--json] [--set KEY=VALUE ...]
    tests/bench/run --latency N
    tests/bench/run fullcheck [--items N] [--type raw|change] [--json] [--set KEY=VALUE ...]

The source is a canned table of 500-byte items with 14 attributes, which costs hardly any CPU; Kafka and
MongoDB are those of scripts/parts (MongoDB in memory), or the ones that DYNAFERRY_TEST_KAFKA and
DYNAFERRY_TEST_MONGODB name. One program works at a time: the producer copies the table, the consumer writes
it, the producer carries M changes, the consumer writes those. A floor moves the same bytes through the same
library with the same settings and does nothing else (floor_scan.c, floor_log.c, floor_write.c).

`fullcheck` compares the same table with its right documents, in need of neither Kafka nor the other programs.
Its floors are a bare scan of the same pages, a bare read of the same documents by a thousand keys at a time
(floor_find.c), and both one after the other.

CPU is user and system time of the process, so it holds the libraries' threads and the program's start. MB is
the process's VmHWM. The machine should be idle: other load slows all rows, floors included.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import boto3
import confluent_kafka
import confluent_kafka.admin
import pymongo

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e")]
from support import oracle  # noqa: E402
from support.running import Program, bin_dir  # noqa: E402

DIRECTORY = ROOT / "build" / "bench"
PARTS = DIRECTORY / "parts"
TABLE = "bench"
SHARDS = 4
PARTITIONS = 12
PROGRAM_SECONDS = 600
SOURCE_KEYS = {"region_name": "us-east-1", "aws_access_key_id": "bench", "aws_secret_access_key": "bench"}

# As producer/topic_writer.c sets them, so that the floor's batches are the same.
WRITER_SETTINGS = {
    "compression.codec": "lz4",
    "batch.size": 1_000_000,
    "message.max.bytes": 8_388_608 - 65_536,
    "message.timeout.ms": 12_000,
    "transaction.timeout.ms": 15_000,
}


@dataclass
class Row:
    """One line of the table. `floor`: this throughput as a part of the floor's."""

    phase: str
    name: str
    items: int
    seconds: float
    cpu: float
    megabytes: float = None
    threads: int = None
    floor: float = None

    @property
    def rate(self):
        return self.items / self.seconds

    @property
    def micros(self):
        return self.cpu / self.items * 1e6

    def as_json(self):
        figures = {"items_per_second": round(self.rate), "cpu_us_per_item": round(self.micros, 3)}
        return {**vars(self), **figures, "cpu_seconds_per_100000": round(self.micros / 10, 3)}


# --- processes ---

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def status_of(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


class Meter:
    """What a program spends from now, or from its start, until its metric has grown by so many items. Its rate
    counts from the first items seen: starting is no throughput."""

    def __init__(self, program, metric, from_start=False):
        self.program, self.metric = program, metric
        self.cpu = 0 if from_start else cpu_seconds(program.process.pid)
        self.count = 0 if from_start else program.metric(metric)

    def samples(self):
        """(time, items so far), often at first and then seldom: answering costs the program CPU too."""
        pause, deadline = 0.02, time.monotonic() + PROGRAM_SECONDS
        while time.monotonic() < deadline:
            if not self.program.running:
                raise SystemExit(f"bench: {self.program.story()}")
            yield time.monotonic(), self.program.metric(self.metric) - self.count
            time.sleep(pause)
            pause = min(pause * 1.02, 0.5)
        raise SystemExit(f"bench: not within {PROGRAM_SECONDS} s\n{self.program.story()}")

    def wait(self, phase, items):
        pid, threads, first = self.program.process.pid, 0, None
        for now, count in self.samples():
            threads = max(threads, status_of(pid, "Threads"))
            if not first and count > 0:
                first = now, count
            if count >= items:
                break
        seconds = max(now - first[0], 0.05) * items / max(items - first[1], 1)
        cpu = cpu_seconds(pid) - self.cpu
        return Row(phase, self.program.role, items, seconds, cpu, status_of(pid, "VmHWM") / 1024, threads)


def floor(phase, program, **arguments):
    """Runs a floor to its end. The figures are its own, of the bare work."""
    words = [f"{name}={value}" for name, value in arguments.items()]
    done = subprocess.run([bin_dir() / program, *words], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"bench: {program} failed")
    found = json.loads(done.stdout)
    return Row(phase, f"{found['what']} floor", found["items"], found["seconds"], found["cpu"])


class Canned:
    """The source, in a process of its own."""

    def __init__(self, items):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fakes.canned", "--items", str(items), "--shards", str(SHARDS)],
            cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        told = json.loads(self.process.stdout.readline())
        self.url, self.access_key, self.secret_key = told["url"], told["access_key"], told["secret_key"]

    def control(self, **request):
        body = json.dumps(request).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + "/_control", body), timeout=30) as answer:
            return json.load(answer)["result"]

    def stream(self):
        client = boto3.client("dynamodb", endpoint_url=self.url, **SOURCE_KEYS)
        return client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def parts(verb, *names, **environment):
    command = [sys.executable, ROOT / "tests/parts/parts.py", verb, *names, "--dir", PARTS]
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def start_parts(*more, kafka=True, mongodb=True):
    """The documents of a bench need more memory than those of a test."""
    told = parts("start", "kafka", *more) if kafka else ""
    if mongodb:
        told += parts("start", "mongodb", PARTS_IN_MEMORY="1", _JAVA_OPTIONS="-Xmx3g")
    print(told, end="", file=sys.stderr)
    return dict(line.removeprefix("export DYNAFERRY_TEST_").split("=", 1) for line in parts("env").splitlines())


# --- the bench ---


class Bench:
    def __init__(self, options, kafka, mongodb, source):
        self.options, self.kafka, self.mongodb, self.source = options, kafka, mongodb, source
        self.tag = "bench" + uuid.uuid4().hex[:8]
        self.topic = f"{self.tag}.{TABLE}"
        self.users = dict(text.split("=", 1) for text in options.set)
        self.rows = []
        self.programs = []
        self.conf = DIRECTORY / "dynaferry.conf"
        settings = {
            "id": self.tag,
            "topic.prefix": self.tag,
            "topic.partitions": PARTITIONS,
            "kafka.bootstrap.servers": kafka,
            "source.endpoint_url": source.url,
            "source.region": "us-east-1",
            "source.access_key_id": source.access_key,
            "source.secret_access_key": source.secret_key,
            "filter.collection.white": TABLE,
            "target.address": mongodb,
            "convert.type": options.type,
            **self.users,
        }
        self.conf.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))

    def add(self, row, against=None):
        if against:
            row.floor = row.rate / min(floor.rate for floor in against)
        self.rows.append(row)
        print(f"  {row.phase}: {row.name}: {row.micros:.2f} us", file=sys.stderr)
        return row

    def new_topic(self):
        name = f"{self.tag}-floor-{len(self.rows)}"
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.kafka})
        topic = confluent_kafka.admin.NewTopic(name, num_partitions=PARTITIONS, replication_factor=1,
                                               config={"max.message.bytes": "8388608"})  # fmt: skip
        for done in admin.create_topics([topic]).values():
            done.result(30)
        return name

    def new_collection(self):
        """As the consumer prepares one."""
        collection = pymongo.MongoClient(self.mongodb)[self.tag + "_floor"][f"f{len(self.rows)}"]
        if self.users.get("target.id", "objectid") != "objectid":
            raise SystemExit("bench: the write floor knows target.id = objectid alone")
        collection.create_index([("pk.S" if self.options.type == "raw" else "pk", 1)], unique=True)
        return collection

    # floors

    def log_floor(self, phase, header, count):
        users = {k: v for k, v in self.users.items() if k.startswith("kafka.")}
        ours = {f"kafka.{k}": v for k, v in WRITER_SETTINGS.items()}
        return floor(phase, "floor_log", brokers=self.kafka, header=header, count=count, to=self.new_topic(),
                     interval_ms=self.users.get("commit.interval.ms", 250), **{"from": self.topic},
                     **{**ours, **users})  # fmt: skip

    def write_floor(self, phase, count, collection):
        return floor(phase, "floor_write", uri=self.mongodb, database=collection.database.name,
                     collection=collection.name, brokers=self.kafka, header="segment", type=self.options.type,
                     count=count, **{"from": self.topic},
                     batch=self.users.get("target.batch.count", 1000),
                     writers=self.users.get("target.writers", 4))  # fmt: skip

    # programs

    def start(self, role):
        program = Program(role, self.conf, DIRECTORY, f"{self.tag}-{role}-{len(self.programs)}").start()
        self.programs.append(program)
        return program

    def produce_rows(self, producer):
        meter = Meter(producer, "dynaferry_producer_rows_total", from_start=True)
        return meter.wait("full", self.options.items)

    def produce_changes(self, producer):
        meter = Meter(producer, "dynaferry_producer_changes_total")
        self.source.control(do="release", records=self.options.records)
        return meter.wait("changes", self.options.records)

    def consume(self, phase, count):
        consumer = self.start("consumer")
        row = Meter(consumer, "dynaferry_consumer_applied_total", from_start=True).wait(phase, count)
        consumer.sigterm()
        return row

    # all of it

    def full(self):
        producer = self.start("producer")
        row = self.produce_rows(producer)
        scan = self.add(self.scan_floor())
        log = self.add(self.log_floor("full", "segment", self.options.items))
        self.add(row, (scan, log))
        self.add(floor("full", "floor_log", brokers=self.kafka, read=self.topic))
        collection = self.new_collection()
        write = self.add(self.write_floor("full", self.options.items, collection))
        collection.drop()  # the test server holds all in memory
        self.add(self.consume("full", self.options.items), (write,))
        return producer

    def scan_floor(self):
        row = floor("full", "floor_scan", url=self.source.url, table=TABLE, threads=4)
        row.items = self.options.items
        return row

    def stream_floor(self):
        row = floor("changes", "floor_scan", url=self.source.url, stream=self.source.stream(), threads=SHARDS)
        row.items = self.options.records
        return row

    def changes(self, producer):
        row = self.produce_changes(producer)
        producer.sigterm()
        scan = self.add(self.stream_floor())
        log = self.add(self.log_floor("changes", "sequence", self.options.records))
        self.add(row, (scan, log))
        row = self.consume("changes", self.options.records)
        # The rows over the changes: each is a replacement again.
        collection = pymongo.MongoClient(self.mongodb)[self.tag][TABLE]
        write = self.add(self.write_floor("changes", self.options.records, collection))
        self.add(row, (write,))

    def end_programs(self):
        for program in self.programs:
            program.end()

    def drop(self):
        """What it made on servers that go on running."""
        client = pymongo.MongoClient(self.mongodb)
        for name in (self.tag, self.tag + "_floor", self.tag + "-checkpoint"):
            client.drop_database(name)
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.kafka})
        ours = [name for name in admin.list_topics(timeout=30).topics if name.startswith(self.tag)]
        for done in admin.delete_topics(ours).values():
            done.result(30)


# --- the check of both ends ---


class Check:
    """dynaferry-fullcheck on a right target, which is filled from the source's own pages."""

    def __init__(self, options, mongodb, source):
        self.options, self.mongodb, self.source = options, mongodb, source
        self.tag = "bench" + uuid.uuid4().hex[:8]
        self.client = pymongo.MongoClient(mongodb)
        self.collection = self.client[self.tag][TABLE]
        self.conf = DIRECTORY / "fullcheck.conf"
        settings = {
            "id": self.tag,
            "source.endpoint_url": source.url,
            "source.region": "us-east-1",
            "source.access_key_id": source.access_key,
            "source.secret_access_key": source.secret_key,
            "filter.collection.white": TABLE,
            "target.address": mongodb,
            "convert.type": options.type,
            **dict(text.split("=", 1) for text in options.set),
        }
        if settings.get("target.id", "objectid") != "objectid":
            raise SystemExit("bench: the read floor knows target.id = objectid alone")
        self.conf.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))

    @property
    def key_path(self):
        return "pk.S" if self.options.type == "raw" else "pk"

    def fill(self):
        schema = oracle.KeySchema(("pk",), ("S",))
        self.collection.create_index([(self.key_path, 1)], unique=True)
        source = boto3.client("dynamodb", endpoint_url=self.source.url, **SOURCE_KEYS)
        for page in source.get_paginator("scan").paginate(TableName=TABLE):
            self.collection.insert_many(
                [oracle.expected_document(item, schema, self.options.type) for item in page["Items"]]
            )
        print(f"  {self.collection.estimated_document_count()} documents", file=sys.stderr)

    def floors(self):
        scan = floor("check", "floor_scan", url=self.source.url, table=TABLE, threads=4)
        scan.items = self.options.items
        for _ in range(2):  # the first one makes the server warm
            find = floor("check", "floor_find", uri=self.mongodb, database=self.tag, collection=TABLE,
                         field=self.key_path, threads=4)  # fmt: skip
        both = Row("check", "both floors", scan.items, scan.seconds + find.seconds, scan.cpu + find.cpu)
        return [scan, find, both]

    def run(self, name, *arguments):
        """The whole process, from its start to its end."""
        command = [bin_dir() / "dynaferry-fullcheck", "--conf", self.conf, "--json", "-d", DIRECTORY / "diff"]
        began = time.monotonic()
        process = subprocess.Popen([*map(str, command), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        summary = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        entry = summary["tables"][0]
        if os.waitstatus_to_exitcode(status) or entry["checked"] != self.options.items:
            raise SystemExit(f"bench: not the same: {summary}")
        return Row("check", name, entry["checked"], seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)

    def measure(self):
        self.fill()
        rows = self.floors()
        for row in (self.run("fullcheck"), self.run("no reverse", "--reverse=off")):
            row.floor = row.rate / rows[-1].rate
            rows.append(row)
        return rows

    def drop(self):
        self.client.drop_database(self.tag)


# --- how soon a single change is there ---


class Latency:
    """Changes one by one, on DynamoDB Local, from the acknowledged write to the document."""

    def __init__(self, kafka, mongodb, dynamodb):
        self.tag = "bench" + uuid.uuid4().hex[:8]
        self.collection = pymongo.MongoClient(mongodb)[self.tag][self.tag]
        self.source = boto3.client("dynamodb", endpoint_url=dynamodb, **SOURCE_KEYS)
        self.conf = DIRECTORY / "latency.conf"
        self.write_conf(kafka, mongodb, dynamodb)
        self.source.create_table(
            TableName=self.tag, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip

    def write_conf(self, kafka, mongodb, dynamodb):
        settings = {
            "id": self.tag,
            "topic.prefix": self.tag,
            "filter.collection.white": self.tag,
            "kafka.bootstrap.servers": kafka,
            "target.address": mongodb,
            "source.endpoint_url": dynamodb,
            "source.region": SOURCE_KEYS["region_name"],
            "source.access_key_id": SOURCE_KEYS["aws_access_key_id"],
            "source.secret_access_key": SOURCE_KEYS["aws_secret_access_key"],
        }
        self.conf.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))

    def one(self, number, seconds=60):
        """Seconds until the item is there."""
        self.source.put_item(TableName=self.tag, Item={"pk": {"S": "k"}, "v": {"N": str(number)}})
        began = time.monotonic()
        while not self.collection.find_one({"v.N": str(number)}):
            if time.monotonic() > began + seconds:
                raise SystemExit(f"bench: a change was not there after {seconds} s")
            time.sleep(0.002)
        return time.monotonic() - began

    def measure(self, count):
        programs = [Program(role, self.conf, DIRECTORY, f"{self.tag}-{role}") for role in ("producer", "consumer")]
        try:
            for program in programs:
                program.start()
            self.one(0)
            found = []
            for number in range(1, count + 1):
                time.sleep(random.uniform(0.3, 0.9))  # so that no poll of the programs is in step with it
                found.append(self.one(number))
            return sorted(found)
        finally:
            for program in programs:
                program.end()


# --- the table ---


def sum_rows(rows, phase):
    """Both programs together, as one line."""
    found = [row for row in rows if row.phase == phase and row.name in ("producer", "consumer")]
    return sum(row.micros for row in found)


def show(rows):
    print(f"{'':8} {'':12} {'us/item':>8} {'items/s':>10} {'of floor':>9} {'MB':>6} {'threads':>8}")
    for row in rows:
        ratio = f"{row.floor:.0%}" if row.floor else ""
        memory = f"{row.megabytes:.0f}" if row.megabytes else ""
        print(f"{row.phase:8} {row.name:12} {row.micros:8.2f} {row.rate:10,.0f} {ratio:>9} {memory:>6} "
              f"{row.threads or '':>8}")  # fmt: skip
    for phase in ("full", "changes"):
        if sum_rows(rows, phase):
            print(f"{phase:8} {'both':12} {sum_rows(rows, phase):8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["ferry", "fullcheck"], default="ferry")
    parser.add_argument("--items", type=int, default=150_000, help="rows of the table")
    parser.add_argument("--records", type=int, default=75_000, help="changes after the snapshot")
    parser.add_argument("--type", choices=["raw", "change"], default="raw", help="convert.type")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for both programs")
    parser.add_argument("--latency", type=int, default=0, metavar="N", help="time N single changes instead")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    parser.add_argument("--keep", action="store_true", help="keep the servers' data and logs")
    parser.add_argument("--bin", metavar="DIR", help="programs and floors of another build, to compare with")
    options = parser.parse_args()
    if options.bin:
        os.environ["DYNAFERRY_BIN"] = options.bin

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for log in DIRECTORY.glob("*.log"):
        log.unlink()
    with contextlib.ExitStack() as ends:
        ends.callback(parts, "stop" if options.keep else "clean")
        if options.what == "fullcheck":
            measure_check(options, ends)
        else:
            measure_latency(options) if options.latency else measure_cost(options, ends)


def measure_cost(options, ends):
    found = start_parts()
    source = Canned(options.items)
    ends.callback(source.stop)
    bench = Bench(options, found["KAFKA"], found["MONGODB"], source)
    ends.callback(bench.drop)
    ends.callback(bench.end_programs)
    bench.changes(bench.full())
    tell(options, bench.rows)


def measure_check(options, ends):
    found = start_parts(kafka=False)
    source = Canned(options.items)
    ends.callback(source.stop)
    check = Check(options, found["MONGODB"], source)
    ends.callback(check.drop)
    tell(options, check.measure())


def tell(options, rows):
    if options.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        show(rows)


def measure_latency(options):
    found = start_parts("dynamodb")
    times = Latency(found["KAFKA"], found["MONGODB"], found["DYNAMODB"]).measure(options.latency)
    figures = {"changes": len(times), "median_ms": round(statistics.median(times) * 1e3),
               "p90_ms": round(times[int(len(times) * 0.9)] * 1e3), "max_ms": round(times[-1] * 1e3)}  # fmt: skip
    if options.json:
        print(json.dumps(figures))
    else:
        print("from a write in DynamoDB to its document:", *(f"{k} {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
