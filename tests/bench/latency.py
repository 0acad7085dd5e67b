"""How soon a change is in MongoDB: producer, Kafka, consumer, from the write's answer to that of MongoDB.

    build/venv/bin/python tests/bench/latency.py [--bin DIR ...] [--set KEY=VALUE ...] [--every SECONDS ...]

back to back   each change of one item as soon as the one before is there, --changes of them
every S s      a change of one item each S seconds, of a table of its own, for --seconds (but at least 8
               changes); by default every 1 s and every 10 s

--bin DIR, once or more: the programs of other builds, --rounds in turn. The source is DynamoDB Local, where a
write is in its stream after some 3 ms. MongoDB is reached through wire.py, which sees a change's mark and
when MongoDB has answered it, so nothing polls. Times depend on the machine's other load: "load" is its load
average at a row's end.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import time
import uuid
from pathlib import Path

import boto3
import pymongo
from bench import DIRECTORY, SOURCE_KEYS, Program, cpu_seconds, parts, start_parts
from wire import Link

WAIT_SECONDS = 60
LEAST_CHANGES = 8


class Ferry:
    """Both programs of one build, and tables of their own."""

    def __init__(self, options, found, directory):
        if directory:
            os.environ["DYNAFERRY_BIN"] = directory
        self.tag = "latency" + uuid.uuid4().hex[:8]
        self.options, self.number, self.seen = options, 0, {}
        self.source = boto3.client("dynamodb", endpoint_url=found["DYNAMODB"], **SOURCE_KEYS)
        self.mongodb = pymongo.MongoClient(found["MONGODB"])
        self.link = Link(found["MONGODB"])
        conf = self.conf(found)
        self.tables = []
        self.programs = [Program(role, conf, DIRECTORY, f"{self.tag}-{role}") for role in ("producer", "consumer")]

    def conf(self, found):
        path = DIRECTORY / f"{self.tag}.conf"
        settings = {
            "id": self.tag,
            "topic.prefix": self.tag,
            "kafka.bootstrap.servers": found["KAFKA"],
            "target.address": f"mongodb://{self.link.address}",
            "source.endpoint_url": found["DYNAMODB"],
            "source.region": SOURCE_KEYS["region_name"],
            "source.access_key_id": SOURCE_KEYS["aws_access_key_id"],
            "source.secret_access_key": SOURCE_KEYS["aws_secret_access_key"],
            "discovery.interval.ms": 500,
            "shard.idle.poll.ms": 200,
            **dict(text.split("=", 1) for text in self.options.set),
        }
        path.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        return path

    def add_table(self):
        name = f"{self.tag}-{len(self.tables)}"
        self.source.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip
        self.tables.append(name)
        return name

    def put(self, table):
        """The change's number. Its time is that of the answer: the mark holds the one before the write."""
        self.number += 1
        sent = time.time()
        item = {"pk": {"S": "k"}, "mark": {"S": f"@{self.number}:{sent:.6f}@"}}
        self.source.put_item(TableName=table, Item=item)
        self.seen[self.number] = sent - time.time()  # the write itself is not on the way
        return self.number

    def arrived(self):
        """Adds what has arrived; the times by number."""
        for number, seconds in self.link.report()["arrived"].items():
            self.seen[int(number)] += seconds
            self.done.add(int(number))
        return self.done

    def wait(self, numbers):
        deadline = time.monotonic() + WAIT_SECONDS
        while not numbers <= self.arrived():
            if time.monotonic() > deadline or not all(program.running for program in self.programs):
                raise SystemExit("latency: a change is not there\n" + "\n".join(p.story() for p in self.programs))
            time.sleep(0.002)

    def times(self, numbers):
        self.wait(set(numbers))
        return [self.seen[number] for number in numbers]

    # the modes

    def back_to_back(self, table):
        numbers = []
        for _ in range(self.options.changes):
            numbers.append(self.put(table))
            self.wait({numbers[-1]})
        return self.times(numbers)

    def every(self, table, pause):
        """With a part by chance, so that no poll of the programs is in step with it."""
        numbers, count = [], max(int(self.options.seconds / pause), LEAST_CHANGES)
        for _ in range(count):
            time.sleep(pause * random.uniform(0.9, 1.1))
            numbers.append(self.put(table))
        return self.times(numbers)

    def rows(self):
        self.done = set()
        modes = [("back to back", self.back_to_back)]
        modes += [(f"every {s:g} s", lambda table, s=s: self.every(table, s)) for s in self.options.every]
        for program in self.programs:
            program.start()
        for name, run in modes:
            table = self.add_table()
            self.wait({self.put(table)})  # it is copied and tailed
            self.wait({self.put(table)})
            cpu = [cpu_seconds(program.process.pid) for program in self.programs]
            found = run(table)
            cpu = [cpu_seconds(p.process.pid) - before for p, before in zip(self.programs, cpu)]
            yield name, found, cpu

    def end(self):
        for program in self.programs:
            program.end()
        self.link.end()
        for table in self.tables:
            self.source.delete_table(TableName=table)
        self.mongodb.drop_database(self.tag)


def row_of(name, times, cpu):
    at = lambda part: round(sorted(times)[min(int(len(times) * part), len(times) - 1)] * 1e3)
    return {"mode": name, "changes": len(times), "p50_ms": at(0.5), "p90_ms": at(0.9), "max_ms": at(1),
            "cpu_ms_producer": round(cpu[0] / len(times) * 1e3, 1),
            "cpu_ms_consumer": round(cpu[1] / len(times) * 1e3, 1),
            "load": float(Path("/proc/loadavg").read_text().split()[0])}  # fmt: skip


def tell(options, row):
    print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", action="append", default=[], metavar="DIR", help="where the programs are")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for both programs")
    parser.add_argument("--rounds", type=int, default=1, help="of all builds")
    parser.add_argument("--changes", type=int, default=60, help="back to back")
    parser.add_argument("--seconds", type=float, default=40, help="of each steady mode")
    parser.add_argument("--every", type=float, nargs="+", default=[1, 10], metavar="S", help="seconds between changes")
    parser.add_argument("--json", action="store_true", help="print a JSON object a row")
    parser.add_argument("--keep", action="store_true", help="keep the servers' data and logs")
    return parser.parse_args()


def main():
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("latency: ended by a signal"))
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as ends:
        ends.callback(parts, "stop" if options.keep else "clean")
        found = start_parts("dynamodb")
        for directory in (options.bin or [None]) * options.rounds:
            with contextlib.ExitStack() as turn:
                ferry = Ferry(options, found, directory)
                turn.callback(ferry.end)
                for row in ferry.rows():
                    tell(options, {"bin": directory or "build/release/bin", **row_of(*row)})


if __name__ == "__main__":
    main()
