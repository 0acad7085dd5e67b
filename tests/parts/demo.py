"""The demo: two tables, both programs, a writer beside them, and a comparison of every item at the end.

Ends every process it started; the servers too, unless --keep. Exit 0 only if every item was found right.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import boto3
import pymongo
from boto3.dynamodb.types import Binary
from bson import json_util
from confluent_kafka import Consumer, TopicPartition

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from support import oracle  # noqa: E402

DIRECTORY = ROOT / "build" / "demo"
PARTS = DIRECTORY / "parts"
BIN = ROOT / "build" / "release" / "bin"
CONF = DIRECTORY / "dynaferry.conf"
ORDERS, READINGS = "shop-orders", "meter-readings"
TABLES = {
    ORDERS: [("order_id", "S", "HASH")],
    READINGS: [("meter", "N", "HASH"), ("reading", "B", "RANGE")],
}
ITEMS = {ORDERS: 2000, READINGS: 3000}
DATABASE, PREFIX = "demo", "demo"
CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
CITIES = ["Köln", "東京", "São Paulo", "Kraków", "Reykjavík", "القاهرة"]
ARRIVE_SECONDS = 60
CONVERGE_SECONDS = 60


def say(text=""):
    print(text, flush=True)


# ---- the items


def key_of(table, number):
    if table == ORDERS:
        return {"order_id": f"order-{number:06}"}
    # Meters have 19 digits: as floating point many of them would be one and the same.
    return {"meter": Decimal(1234567890123456000 + number // 10), "reading": Binary(number.to_bytes(6, "big"))}


def item_of(table, number, rng, version=1):
    item = {**key_of(table, number), "version": version}
    if table == ORDERS:
        lines = [
            {"sku": f"sku-{rng.randrange(500)}", "count": rng.randint(1, 9), "price": Decimal(rng.randrange(99999)).scaleb(-2)}
            for _ in range(rng.randrange(4))
        ]
        item.update(
            customer={"name": f"customer {rng.randrange(900)}", "city": rng.choice(CITIES), "address.line": "1 Main St"},
            lines=lines,
            total=sum((line["count"] * line["price"] for line in lines), Decimal(0)),
            paid=rng.random() < 0.8,
            note=rng.choice([None, "", "leave at the door 🚪"]),
            tags={rng.choice("abcdefgh") * 3 for _ in range(3)},
        )
        item["price.currency"] = "EUR"  # a name with a dot, legal in DynamoDB
    else:
        item.update(
            value=Decimal(rng.randrange(10**18)) * Decimal(10) ** -9,
            exact=Decimal(rng.choice("123456789") + "".join(rng.choices("0123456789", k=37))),
            raw=Binary(rng.randbytes(rng.randrange(64))),
            samples=[Decimal(rng.randrange(-1000, 1000)) for _ in range(rng.randrange(6))],
            phases={Decimal(n) for n in rng.sample(range(1, 4), 2)},
            flags={},
        )
    return item


def create_tables(dynamodb):
    for name, keys in TABLES.items():
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": role} for n, _, role in keys],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": kind} for n, kind, _ in keys],
        ).wait_until_exists()


def fill(dynamodb, rng):
    for name, count in ITEMS.items():
        with dynamodb.Table(name).batch_writer() as batch:
            for number in range(count):
                batch.put_item(Item=item_of(name, number, rng))
        say(f"  {name}: {count:,} items")


class Writer(threading.Thread):
    """Puts, updates and deletes at random keys, old and new, until told to stop."""

    def __init__(self, dynamodb, rng):
        super().__init__(daemon=True)
        self.dynamodb, self.rng = dynamodb, rng
        self.puts = self.updates = self.deletes = 0
        self.error = None
        self.enough = threading.Event()

    @property
    def written(self):
        return self.puts + self.updates + self.deletes

    def run(self):
        try:
            while not self.enough.wait(0.003):
                self.write_one()
        except Exception as error:
            self.error = error

    def write_one(self):
        rng = self.rng
        name = rng.choice(list(TABLES))
        number = rng.randrange(ITEMS[name] * 6 // 5)
        table, what = self.dynamodb.Table(name), rng.random()
        if what < 0.4:
            table.put_item(Item=item_of(name, number, rng, self.written + 2))
            self.puts += 1
        elif what < 0.8:
            table.update_item(
                Key=key_of(name, number),
                UpdateExpression="SET version = :v, changed = :t REMOVE note",
                ExpressionAttributeValues={":v": self.written + 2, ":t": str(time.time())},
            )
            self.updates += 1
        else:
            table.delete_item(Key=key_of(name, number))
            self.deletes += 1

    def finish(self):
        self.enough.set()
        self.join()
        if self.error:
            raise self.error


# ---- the programs


def write_configuration(addresses):
    settings = {
        "id": DATABASE,
        "sync_mode": "all",
        "topic.prefix": PREFIX,
        "topic.partitions": 4,
        "filter.collection.white": ";".join(TABLES),
        "source.endpoint_url": addresses["DYNAMODB"],
        "source.region": CREDENTIALS["region_name"],
        "source.access_key_id": CREDENTIALS["aws_access_key_id"],
        "source.secret_access_key": CREDENTIALS["aws_secret_access_key"],
        "kafka.bootstrap.servers": addresses["KAFKA"],
        "target.address": addresses["MONGODB"],
        "convert.type": "change",
    }
    CONF.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))


class Program:
    def __init__(self, name):
        self.name = f"dynaferry-{name}"
        self.log = DIRECTORY / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BIN / self.name, "--conf", CONF], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def require_running(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Failed(Exception):
    """What to tell the user, without a trace."""


def parts(*arguments):
    done = subprocess.run([ROOT / "scripts" / "parts", "--dir", PARTS, *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"scripts/parts {' '.join(arguments)} failed")
    return done.stdout


def start_parts():
    parts("clean")
    for line in parts("start").splitlines():
        say(f"  {line}")
    lines = [line.removeprefix("export DYNAFERRY_TEST_") for line in parts("env").splitlines()]
    return dict(line.split("=", 1) for line in lines)


# ---- watching


class Watch:
    """Counts what is where, and prints it: in one line that is written over on a terminal."""

    def __init__(self, kafka, database):
        self.database = database
        self.log = Consumer({"bootstrap.servers": kafka, "group.id": f"{PREFIX}-watch", "log_level": 0})
        self.began = time.monotonic()
        self.last = -10.0

    def elapsed(self):
        return time.monotonic() - self.began

    def records(self):
        """Offsets in the data topics: a few of them are markers of transactions."""
        topics = self.log.list_topics(timeout=10).topics
        total = 0
        for name in TABLES:
            topic = topics.get(f"{PREFIX}.{name}")
            for partition in topic.partitions if topic else ():
                total += self.log.get_watermark_offsets(TopicPartition(topic.topic, partition), timeout=10)[1]
        return total

    def documents(self):
        return sum(self.database[name].estimated_document_count() for name in TABLES)

    def show(self, written, note="", always=False):
        elapsed = self.elapsed()
        terminal = sys.stdout.isatty()
        if not always and elapsed - self.last < (0.5 if terminal else 3):
            return
        self.last = elapsed
        text = (
            f"  {elapsed:5.1f} s   written meanwhile {written:6,}   in Kafka {self.records():7,}"
            f"   documents in MongoDB {self.documents():6,}   {note}"
        )
        print(f"\r{text:<100}" if terminal else text, end="" if terminal and not always else "\n", flush=True)


def compare(client, database):
    return {name: oracle.compare(client, name, database[name], "change") for name in TABLES}


def await_equality(client, database, programs, watch, written):
    began = time.monotonic()
    while True:
        found = compare(client, database)
        if all(found.values()):
            return found, time.monotonic() - began
        for program in programs:
            program.require_running()
        if time.monotonic() - began > CONVERGE_SECONDS:
            return found, None
        watch.show(written, "catching up")
        time.sleep(0.2)


def fullcheck(when):
    """Lets dynaferry's own checker compare both ends."""
    differences = DIRECTORY / "differences.jsonl"
    say()
    say(f"dynaferry-fullcheck, {when}:")
    with open(DIRECTORY / "fullcheck.log", "ab") as log:
        done = subprocess.run(
            [BIN / "dynaferry-fullcheck", "--conf", CONF, "-d", differences],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    for line in done.stdout.splitlines():
        say(f"  {line}")
    say()
    if done.returncode:
        raise Failed(f"dynaferry-fullcheck ended with {done.returncode}; see {DIRECTORY}")


def replicate(addresses, dynamodb, client, database, seconds, rng):
    """The programs run only in here. Returns the comparison, the writer, and how long catching up took."""
    programs = []
    writer = Writer(dynamodb, rng)
    writer.start()
    try:
        for name in ("producer", "consumer"):
            programs.append(Program(name))
        watch = Watch(addresses["KAFKA"], database)
        arriving = None
        while arriving is None or time.monotonic() - arriving < seconds:
            for program in programs:
                program.require_running()
            if arriving is None and (watch.documents() or watch.elapsed() > ARRIVE_SECONDS):
                arriving = time.monotonic()
            watch.show(writer.written)
            time.sleep(0.2)
        fullcheck("while the writer goes on writing")
        writer.finish()
        watch.show(writer.written, "the writer has stopped", always=True)
        found, took = await_equality(client, database, programs, watch, writer.written)
        watch.show(writer.written, always=True)
    finally:
        writer.enough.set()
        codes = [(program, program.stop()) for program in programs]
    for program, code in codes:
        if code:
            raise Failed(f"{program.name} ended with {code} when it was told to stop:\n{program.tail()}")
    return found, writer, took


# ---- the end


def report(found, writer, took):
    say()
    for name, comparison in found.items():
        say(f"  {name}: {comparison.items:,} items, {comparison.same:,} documents the same, "
            f"{len(comparison.differences)} differences")  # fmt: skip
        for line in comparison.differences[:10]:
            say(f"    {line}")
    say(f"  written meanwhile: {writer.puts:,} puts, {writer.updates:,} updates, {writer.deletes:,} deletes")
    if took is not None:
        say(f"  every item was right {took:.1f} s after the last write, the comparison included")


def how_to_look(addresses, database, kept):
    mongodb, kafka = addresses["MONGODB"], addresses["KAFKA"]
    again = f"scripts/parts --dir {os.path.relpath(PARTS, ROOT)}"
    say()
    say(f"One order: {json_util.dumps(database[ORDERS].find_one(), ensure_ascii=False)}")
    say()
    say(f"The documents: MongoDB {mongodb}, database {DATABASE}, collections {', '.join(TABLES)}")
    say(f"The changes:   Kafka {kafka}, topics {', '.join(f'{PREFIX}.{name}' for name in TABLES)};")
    say(f"               progress in {PREFIX}-ledger, refused records in {PREFIX}-dead-letter")
    say(f"The logs:      {os.path.relpath(DIRECTORY, ROOT)}/producer.log, consumer.log, fullcheck.log; configuration {CONF.name}")
    say()
    say("To look at them:" if kept else f"To look at them, after {again} start:")
    say(f"  build/venv/bin/python -c \"import pymongo; print(pymongo.MongoClient('{mongodb}')"
        f"['{DATABASE}']['{ORDERS}'].find_one())\"")  # fmt: skip
    say(f"  mongosh {mongodb}/{DATABASE} --eval \"db['{READINGS}'].findOne()\"")
    say(f"  kcat -b {kafka} -C -o beginning -c 5 -t {PREFIX}.{ORDERS}     (mongosh and kcat are not installed by this)")
    say(f"  {again} clean     ends the servers and removes their data")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    parser.add_argument("--seconds", type=float, default=15, help="how long the writer goes on after the first documents have arrived (15)")
    options = parser.parse_args()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    kept = False
    try:
        say("Starting a Kafka broker, DynamoDB Local and a MongoDB-compatible server")
        addresses = start_parts()
        source = {"endpoint_url": addresses["DYNAMODB"], **CREDENTIALS}
        dynamodb, client = boto3.resource("dynamodb", **source), boto3.client("dynamodb", **source)
        database = pymongo.MongoClient(addresses["MONGODB"])[DATABASE]
        say("Filling two tables")
        create_tables(dynamodb)
        fill(dynamodb, rng)
        write_configuration(addresses)
        say("Replicating, while a writer puts, updates and deletes")
        found, writer, took = replicate(addresses, dynamodb, client, database, options.seconds, rng)
        report(found, writer, took)
        how_to_look(addresses, database, options.keep)
        kept = options.keep
        return 0 if took is not None else 1
    finally:
        if not kept:
            parts("stop")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"demo: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
