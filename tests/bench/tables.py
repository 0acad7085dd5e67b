"""The producer with many tables, or with a table of many shards: how late shards are read, calls, memory, CPU.

    build/venv/bin/python tests/bench/tables.py tables N [--bin DIR ...] [--set KEY=VALUE ...]
    build/venv/bin/python tests/bench/tables.py shards N [--bin DIR ...] [--set KEY=VALUE ...]

tables   N new tables of a few rows and one shard each: seconds until all are copied and tailed, then
         --seconds with nothing to do
shards   one table of N open shards, which live 4 hours (--roll-seconds) by a clock that runs --clock times
         faster: watched for --seconds from when all were read once. All roll at once; --spread: one after the
         other over their life. --records a second flow through all of them

--bin DIR, once or more: the programs of other builds; each gets a column, in turn, with servers of its own.
The source is build/release/bin/endpoint (scripts/build release), which allows ten DescribeStream calls a
second; Kafka is that of scripts/parts, or the one that DYNAFERRY_TEST_KAFKA names.

pause    between two reads of a shard, the largest of each shard, over all shards. "late" is the part of it
         above --due: how much later than its due time it was read
child    from the closing of a shard (its child is listed --list-ms later) to the first read of its child
cpu      of the whole process: "start" until all tables are tailed, then in percent of one core
MB       VmHWM at the end of the start, at the end, and VmRSS at the end
step     how long steps kept a thread, requests to the source left out, for --step-seconds (shards: from shortly
         before a roll): p99/most in ms/how many above 10 ms (steps.py; needs root and perf)
Times depend on the machine's other load: "load" is its load average at the end.
"""

import argparse
import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import confluent_kafka
from bench import DIRECTORY, ROOT, Program, cpu_seconds, parts, start_parts, status_of
from steps import Steps, can_be_seen
from steps import told as steps_told
from support.running import wait_until

ENDPOINT = ROOT / "build" / "release" / "bin" / "endpoint"
SETTLE_SECONDS = 10
STEP_LIMIT_MS = 10
BEFORE_ROLL_SECONDS = 5


class Endpoint:
    """It ends with this process, whatever becomes of it."""

    def __init__(self, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen([ENDPOINT, *words], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def reset(self):
        self.get("/_reset")

    def stats(self):
        return self.get("/_stats")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Phases:
    """The tables' phases, as the ledger says."""

    def __init__(self, kafka, topic):
        self.topic, self.found, self.assigned = topic, {}, False
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": kafka, "group.id": topic + "-bench", "enable.auto.commit": False,
             "log_level": 0, "allow.auto.create.topics": False}
        )  # fmt: skip

    def assign(self):
        known = self.consumer.list_topics(timeout=10).topics.get(self.topic)
        if known and known.partitions:
            places = [confluent_kafka.TopicPartition(self.topic, p, confluent_kafka.OFFSET_BEGINNING)
                      for p in known.partitions]  # fmt: skip
            self.consumer.assign(places)
            self.assigned = True

    def counts(self):
        if not self.assigned:
            self.assign()
            return collections.Counter()
        while messages := self.consumer.consume(1000, 0.1):
            for message in messages:
                if not message.error():
                    self.take(message.key().decode(), message.value())
        return collections.Counter(self.found.values())

    def take(self, key, value):
        if key.startswith("table/") and value:
            self.found[key] = json.loads(value)["phase"]

    def close(self):
        self.consumer.close()


def at(times, part):
    return sorted(times)[min(int(len(times) * part), len(times) - 1)] if times else None


class Run:
    """One program with servers of its own."""

    def __init__(self, options, kafka, directory):
        self.options, self.kafka = options, kafka
        if directory:
            os.environ["DYNAFERRY_BIN"] = directory
        self.tag = "tables" + uuid.uuid4().hex[:8]
        many_tables = options.what == "tables"
        self.tables, shards = (options.count, 1) if many_tables else (1, options.count)
        self.endpoint = Endpoint(
            tables=self.tables, shards=shards, items=options.items, records=options.records,
            clock=options.clock, roll_s=options.roll_seconds, spread=int(options.spread),
            list_ms=options.list_ms, delay_ms=options.delay_ms, knows_filter=int(not options.no_filter),
            describes=options.describes,
        )  # fmt: skip
        self.began = time.monotonic()
        self.producer = Program("producer", self.conf(), DIRECTORY, self.tag)
        self.phases = Phases(kafka, f"{self.tag}-ledger")

    def conf(self):
        path = DIRECTORY / f"{self.tag}.conf"
        settings = {
            "id": self.tag,
            "topic.prefix": self.tag,
            "topic.partitions": self.options.partitions,
            "kafka.bootstrap.servers": self.kafka,
            "source.endpoint_url": self.endpoint.url,
            "source.region": "us-east-1",
            "source.access_key_id": "bench",
            "source.secret_access_key": "bench",
            **dict(text.split("=", 1) for text in self.options.set),
        }
        path.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        return path

    def end(self):
        self.producer.end()
        self.phases.close()
        self.endpoint.stop()

    def memory_mb(self, name):
        return round(status_of(self.producer.process.pid, name) / 1024)

    def start(self):
        """Until all tables are tailed and every shard was read, or the limit."""
        self.producer.start()
        began, pid, tailed = time.monotonic(), self.producer.process.pid, None

        def done():
            nonlocal tailed
            counts = self.phases.counts()
            if counts["tail"] == self.tables and not tailed:
                tailed = time.monotonic() - began
            return tailed and not self.endpoint.stats()["unread"]

        with contextlib.suppress(AssertionError):  # the figures say how far it came
            wait_until(done, self.options.limit, "all tables tailed and read", [self.producer])
        if not self.producer.running:
            raise SystemExit(f"tables: {self.producer.story()}")
        return {
            "start: s until tailed": tailed and round(tailed, 1),
            "start: s until all read": round(time.monotonic() - began, 1),
            "start: tables in tail": self.phases.counts()["tail"],
            "start: cpu s": round(cpu_seconds(pid), 1),
            "start: MB": self.memory_mb("VmHWM"),
            "start: DescribeStream refused": self.endpoint.stats()["operations"]["DescribeStream"]["refused"],
        }

    def watch(self):
        time.sleep(SETTLE_SECONDS)
        self.endpoint.reset()
        pid, threads = self.producer.process.pid, 0
        own, cpu = self.endpoint.stats()["cpu_seconds"], cpu_seconds(pid)
        began, steps, roll = time.monotonic(), None, self.next_roll()
        while time.monotonic() < began + self.options.seconds and self.producer.running:
            threads = max(threads, status_of(pid, "Threads"))
            if not steps and self.options.step_seconds and time.monotonic() > roll - BEFORE_ROLL_SECONDS:
                steps = self.look_at_steps()
            time.sleep(1)
        if not self.producer.running:
            raise SystemExit(f"tables: {self.producer.story()}")
        cpu = cpu_seconds(pid) - cpu
        stats = self.endpoint.stats()
        return {**self.told(stats), "cpu %": round(cpu / stats["seconds"] * 100, 1),
                "endpoint cpu %": round((stats["cpu_seconds"] - own) / stats["seconds"] * 100, 1),
                "MB most": self.memory_mb("VmHWM"), "MB now": self.memory_mb("VmRSS"), "threads": threads,
                "tables in tail": self.phases.counts()["tail"],
                "healthz": self.producer.get("/healthz")[0],
                **{f"step {name}": figure for name, figure in self.steps(steps).items()}}  # fmt: skip

    def told(self, stats):
        operations, seconds, pauses = stats["operations"], stats["seconds"], stats["pauses_ms"]
        describes = operations["DescribeStream"]
        rate = lambda name: round(operations[name]["count"] / seconds, 1)
        return {
            "s watched": round(seconds),
            "GetRecords/s": rate("GetRecords"),
            "DescribeStream/s": rate("DescribeStream"),
            "DescribeStream in a second, most": stats["describe_most_a_second"],
            "DescribeStream refused": describes["refused"],
            "DescribeTable/s": rate("DescribeTable"),
            "shards open": stats["open"],
            "shards unread": stats["unread"],
            "pause ms p50": at(pauses, 0.5),
            "pause ms p99": at(pauses, 0.99),
            "pause ms most": at(pauses, 1),
            "late by ms, most": round(max(at(pauses, 1) - self.options.due, 0)) if pauses else None,
            "rolls": stats["rolled"],
            "child ms p50": at(stats["children_ms"], 0.5),
            "child ms most": at(stats["children_ms"], 1),
        }

    def next_roll(self):
        """When all shards roll, if they roll at once; else now."""
        now, life = time.monotonic(), self.options.roll_seconds / self.options.clock
        if not life or self.options.spread:
            return now
        return self.began + (int((now - self.began + BEFORE_ROLL_SECONDS) / life) + 1) * life

    def look_at_steps(self):
        binary, pid = self.producer.command[0], self.producer.process.pid
        return can_be_seen() and Steps(binary, pid, self.options.step_seconds, DIRECTORY / f"{self.tag}.steps")

    def steps(self, steps):
        return steps_told(steps and steps.result() or {}, STEP_LIMIT_MS)

    def measure(self):
        figures = self.start()
        print("  " + "  ".join(f"{k} {v}" for k, v in figures.items()), file=sys.stderr)
        figures |= self.watch()
        figures["load"] = float(Path("/proc/loadavg").read_text().split()[0])
        self.producer.signal(signal.SIGTERM)
        began = time.monotonic()
        figures["exit code"] = self.producer.wait(60)
        figures["end: s"] = round(time.monotonic() - began, 1)
        return figures


def show(columns):
    for number, (name, _) in enumerate(columns, 1):
        print(f"{number}: {name}")
    for figure in dict.fromkeys(figure for _, found in columns for figure in found):
        values = (found.get(figure) for _, found in columns)
        print(f"{figure:34}" + "".join(f"{'-' if value is None else value:>20}" for value in values))


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tables", "shards"])
    parser.add_argument("count", type=int, metavar="N")
    parser.add_argument("--bin", action="append", default=[], metavar="DIR", help="where the programs are")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the producer")
    parser.add_argument("--seconds", type=float, help="watched: tables 30, shards 240")
    parser.add_argument("--step-seconds", type=int, default=30, help="steps are timed; 0: not")
    parser.add_argument("--limit", type=float, default=300, help="seconds the start may take")
    parser.add_argument("--due", type=float, help="ms between two reads as configured: tables 200, shards 1000")
    parser.add_argument("--partitions", type=int, default=1, help="of each data topic")
    parser.add_argument("--items", type=int, default=3, help="rows of each table")
    parser.add_argument("--records", type=int, default=0, help="changes per second, over all shards")
    parser.add_argument("--clock", type=int, help="how many times faster: tables 1, shards 120")
    parser.add_argument("--roll-seconds", type=int, help="a shard's life by that clock: tables 0 (for ever), shards 14400")
    parser.add_argument("--spread", action="store_true", help="rolls come one after the other")
    parser.add_argument("--list-ms", type=int, default=300, help="a child is listed so much later")
    parser.add_argument("--delay-ms", type=int, default=0, help="how long an answer takes")
    parser.add_argument("--describes", type=int, default=10, help="DescribeStream calls per second that are allowed")
    parser.add_argument("--no-filter", action="store_true", help="the endpoint does not know ShardFilter")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--keep", action="store_true", help="keep the servers' data and logs")
    options = parser.parse_args()
    defaults = {"tables": (30, 200, 1, 0), "shards": (240, 1000, 120, 14400)}[options.what]
    for name, value in zip(("seconds", "due", "clock", "roll_seconds"), defaults):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def measure(options, directory):
    with contextlib.ExitStack() as ends:
        ends.callback(parts, "stop" if options.keep else "clean")
        run = Run(options, start_parts(mongodb=False)["KAFKA"], directory)
        ends.callback(run.end)
        return run.measure()


def main():
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tables: ended by a signal"))
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    columns = [(name or "build/release/bin", measure(options, name)) for name in options.bin or [None]]
    if options.json:
        print(json.dumps([{"bin": name, **found} for name, found in columns], indent=1))
    else:
        show(columns)


if __name__ == "__main__":
    main()
