"""The consumer with many partitions: memory, time, CPU, commands, delay and changes of hands.

    build/venv/bin/python tests/bench/scale.py MODE [--bin DIR] [--tables T] [--partitions P]
                                                    [--set KEY=VALUE ...]

backlog     T x P partitions with --megabytes of items of --item-bytes in them when the consumer starts: peak
            memory, seconds until all is applied, CPU per item, threads. --random: items that compress to
            nothing; --codec
idle        T x P partitions with nothing to do, watched for --seconds: commands at MongoDB, CPU, memory
trickle     each partition gets an item every --every seconds, spread evenly, and MongoDB is --delay ms away:
            from an item's being sent to Kafka until MongoDB has answered its write, over --seconds
rebalance   a second consumer joins and leaves: seconds from that until no position changes its owner any more,
            positions taken, how many of them without a goodbye (`again` in the document), marks (`rewind`),
            and how often positions were taken in the --after seconds that follow, when none should be.
            --busy: --megabytes wait when it happens, and --rate items per second arrive. "settled": 0 if
            positions still changed their owners after --limit seconds, or have another number of owners
            than there are consumers

--total N instead of --tables: as many tables as make N partitions. --bin DIR: the programs of another build,
to compare with. There is no producer: scale_topics.py makes topics and ledger. Kafka and MongoDB are those of
scripts/parts (MongoDB in memory), or those that DYNAFERRY_TEST_KAFKA and DYNAFERRY_TEST_MONGODB name. In idle
and trickle MongoDB is reached through wire.py.

MB is VmHWM, CPU that of the whole process from its start. Seconds depend on the machine's other load: "load"
is its load average at the row's end.
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
import uuid
from pathlib import Path

import pymongo
from bench import DIRECTORY, ROOT, Program, cpu_seconds, parts, start_parts, status_of
from scale_topics import Topics
from support.running import wait_until
from wire import Link, ping_ms

QUIET_SECONDS = 10  # so long no owner must change until a rebalance counts as settled
WAIT_SECONDS = 400
WARM_SECONDS = 3
LOG_LINES = (
    "partition left", "late write marked", "left without a goodbye", "partition lost to another owner",
)  # fmt: skip
DEFAULT_TOTAL = {"backlog": 720, "idle": 720, "trickle": 500, "rebalance": 1200}


class Scale:
    def __init__(self, options, kafka, mongodb):
        self.options, self.kafka, self.mongodb = options, kafka, mongodb
        self.tag = "scale" + uuid.uuid4().hex[:8]
        tables = options.tables or -(-(options.total or DEFAULT_TOTAL[options.mode]) // options.partitions)
        self.topics = Topics(kafka, self.tag, tables, options.partitions, options.codec)
        self.client = pymongo.MongoClient(mongodb)
        self.applied = self.client[self.tag]["dynaferry:applied"]
        self.programs = []

    def conf(self, mongodb):
        path = DIRECTORY / "scale.conf"
        settings = {
            "id": self.tag,
            "topic.prefix": self.tag,
            "ledger.partitions": 1,
            "kafka.bootstrap.servers": self.kafka,
            "target.address": mongodb,
            "target.id": "key",
            "convert.type": "change",
            **dict(text.split("=", 1) for text in self.options.set),
        }
        path.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        return path

    def start(self, mongodb=None):
        conf, name = self.conf(mongodb or self.mongodb), f"{self.tag}-{len(self.programs)}"
        self.programs.append(Program("consumer", conf, DIRECTORY, name).start())
        return self.programs[-1]

    def log_counts(self):
        text = "".join(program.log() for program in self.programs)
        return collections.Counter({line: text.count(line) for line in LOG_LINES})

    def positions_at(self, offset):
        return self.applied.count_documents({"_id": {"$regex": "/"}, "offset": {"$gte": offset}})

    def take_all(self, program):
        """Seconds from now until every partition has passed its begin."""
        began = time.monotonic()
        wait_until(lambda: self.positions_at(1) >= self.topics.total, WAIT_SECONDS, "all taken", [program])
        return time.monotonic() - began

    def write_backlog(self):
        """Items in each partition."""
        options, total = self.options, self.topics.total
        each = max(int(options.megabytes * 1e6 / options.item_bytes / total), 1)
        self.topics.write_backlog(each, options.item_bytes, options.in_a_row, options.random)
        print(f"  {each * total} items of {options.item_bytes} bytes in {total} partitions", file=sys.stderr)
        return each

    def feed(self, rate, keys):
        options = {"kafka": self.kafka, "prefix": self.tag, "tables": len(self.topics.tables),
                   "partitions": self.topics.partitions, "rate": rate, "keys": keys,
                   "item-bytes": self.options.item_bytes}  # fmt: skip
        command = [sys.executable, ROOT / "tests/bench/scale_topics.py"]
        command += [f"--{name}={value}" for name, value in options.items()]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end_programs(self):
        for program in self.programs:
            program.end()

    def drop(self):
        """On servers that go on running."""
        if "DYNAFERRY_TEST_MONGODB" in os.environ:
            self.client.drop_database(self.tag)
        if "DYNAFERRY_TEST_KAFKA" in os.environ:
            self.topics.drop()


def feeder_end(feeder):
    """How many items it has sent."""
    told, _ = feeder.communicate()
    return int(told)


def memory_mb(program, name="VmHWM"):
    return round(status_of(program.process.pid, name) / 1024)


def load():
    return float(Path("/proc/loadavg").read_text().split()[0])


# --- backlog ---


def backlog(scale):
    options, topics = scale.options, scale.topics
    topics.create()
    each = scale.write_backlog()
    items = each * topics.total
    program, began, threads = scale.start(), time.monotonic(), 0

    def done():
        nonlocal threads
        threads = max(threads, status_of(program.process.pid, "Threads"))
        return scale.positions_at(1 + each) >= topics.total

    wait_until(done, WAIT_SECONDS, "the backlog applied", [program])
    seconds, cpu = time.monotonic() - began, cpu_seconds(program.process.pid)
    yield {"codec": options.codec, "random": int(options.random), "items": items, "mb": memory_mb(program),
           "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1),
           "cpu_us_per_item": round(cpu / items * 1e6, 1), "threads": threads,
           "documents": documents(scale)}  # fmt: skip
    program.sigterm()


def documents(scale):
    database = scale.client[scale.tag]
    return sum(database[name].estimated_document_count() for name in scale.topics.tables)


# --- idle ---


def per_second(commands, seconds):
    often = sorted(commands, key=commands.get, reverse=True)
    return ", ".join(f"{name} {commands[name] / seconds:.1f}" for name in often)


def idle(scale):
    scale.topics.create()
    with linked(scale, 0) as (link, program, taken):
        time.sleep(WARM_SECONDS)
        cpu = cpu_seconds(program.process.pid)
        link.report()
        time.sleep(scale.options.seconds)
        commands, seconds = link.report()["commands"], scale.options.seconds
        cpu = cpu_seconds(program.process.pid) - cpu
        yield {"taken_seconds": round(taken, 1),
               "commands_per_second": round(sum(commands.values()) / seconds, 1),
               "cpu_percent": round(cpu / seconds * 100, 1), "mb": memory_mb(program),
               "mb_now": memory_mb(program, "VmRSS"), "threads": status_of(program.process.pid, "Threads"),
               "commands": per_second(commands, seconds)}  # fmt: skip
        program.sigterm()


@contextlib.contextmanager
def linked(scale, delay_ms):
    """A consumer that has taken all partitions over a wire."""
    link = Link(scale.mongodb, delay_ms)
    try:
        program = scale.start(f"mongodb://{link.address}")
        yield link, program, scale.take_all(program)
    finally:
        scale.end_programs()
        link.end()


# --- trickle ---


def trickle(scale):
    options = scale.options
    scale.topics.create()
    with linked(scale, options.delay) as (link, program, _):
        far = pymongo.MongoClient(link.address)
        added = ping_ms(far) - ping_ms(scale.client)
        link.report()
        feeder = scale.feed(scale.topics.total / options.every, 1_000_000)
        time.sleep(WARM_SECONDS)
        early = link.report()["arrived"]
        cpu = cpu_seconds(program.process.pid)
        time.sleep(options.seconds)
        cpu = cpu_seconds(program.process.pid) - cpu
        seen, busy_ping = link.report(), ping_ms(far, 9)
        sent = feeder_end(feeder)
        late = await_rest(link, sent - len(early) - len(seen["arrived"]), program)
        times = sorted(ms for found in (seen["arrived"], late) for ms in found.values())
        yield {"items": len(times), "median_ms": at(times, 0.5), "p90_ms": at(times, 0.9),
               "p99_ms": at(times, 0.99), "max_ms": at(times, 1), "missing": sent - len(early) - len(times),
               "arrived_per_second": round(len(seen["arrived"]) / options.seconds),
               "cpu_percent": round(cpu / options.seconds * 100, 1), "mb": memory_mb(program),
               "wire_added_ms": round(added, 1), "ping_ms": round(busy_ping, 1),
               "wire_cpu": round(seen["cpu"], 2),
               "commands": per_second(seen["commands"], options.seconds)}  # fmt: skip
        program.sigterm()


def at(times, part):
    return round(times[min(int(len(times) * part), len(times) - 1)] * 1e3)


def await_rest(link, count, program, seconds=60):
    found = {}

    def arrived():
        found.update(link.report()["arrived"])
        return len(found) >= count

    with contextlib.suppress(AssertionError):  # the row says how many are missing
        wait_until(arrived, seconds, "the rest", [program])
    return found


# --- rebalance ---


class Watch:
    """What happens to the owners of all positions from now on."""

    def __init__(self, applied):
        self.applied = applied
        self.first = self.now = self.read()
        self.changed_at = time.monotonic()
        self.again, self.rewind, self.released = set(), set(), set()

    def read(self):
        fields = dict.fromkeys(("epoch", "owner", "again", "rewind"), 1)
        return {d["_id"]: d for d in self.applied.find({"_id": {"$regex": "/"}}, fields)}

    @staticmethod
    def hands(documents):
        return {name: (d["epoch"], d["owner"]) for name, d in documents.items()}

    def look(self):
        last, self.now = self.now, self.read()
        if self.hands(last) != self.hands(self.now):
            self.changed_at = time.monotonic()
        for name, d in self.now.items():
            if d["epoch"] > self.first[name]["epoch"]:
                self.again |= {(name, d["epoch"])} if "again" in d else set()
            self.rewind |= {(name, d["rewind"])} if "rewind" in d else set()
            self.released |= {(name, d["epoch"])} if not d["owner"] else set()

    def owners(self):
        return {d["owner"] for d in self.now.values()}

    def taken(self):
        return sum(d["epoch"] - self.first[name]["epoch"] for name, d in self.now.items())

    def quiet(self, owners):
        """All positions have an owner, and none has changed for a while."""
        found = self.owners()
        return "" not in found and len(found) == owners and time.monotonic() > self.changed_at + QUIET_SECONDS

    def for_seconds(self, seconds, until=lambda: False):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.25)
            self.look()
            if until():
                return True
        return False


def rebalance(scale):
    options, feeder = scale.options, None
    scale.topics.create()
    first = scale.start()
    taken = scale.take_all(first)
    print(f"  taken in {taken:.1f} s", file=sys.stderr)
    try:
        if options.busy:
            feeder = scale.feed(options.rate, 50)
        second = []
        yield rebalance_row(scale, "join", 2, lambda: second.append(scale.start()))
        yield rebalance_row(scale, "leave", 1, lambda: second[0].signal(signal.SIGTERM))
        print(f"  the second one ended with {second[0].wait()}", file=sys.stderr)
    finally:
        if feeder:
            print(f"  {feeder_end(feeder)} items were sent", file=sys.stderr)
    first.sigterm(60)


def rebalance_row(scale, event, owners, act):
    if scale.options.busy:
        scale.write_backlog()
    said, watch, began = scale.log_counts(), Watch(scale.applied), time.monotonic()
    act()
    settled = watch.for_seconds(scale.options.limit, lambda: watch.quiet(owners))
    seconds, taken = watch.changed_at - began, watch.taken()
    watch.for_seconds(scale.options.after)
    return {"event": event, "busy": int(scale.options.busy), "settled": int(settled),
            "seconds": round(seconds, 1), "taken": taken, "without_goodbye": len(watch.again),
            "goodbyes_seen": len(watch.released), "rewinds_seen": len(watch.rewind),
            "taken_afterwards": watch.taken() - taken,
            "owners": sorted(collections.Counter(d["owner"] for d in watch.now.values()).values()),
            "lines": {k: v for k, v in (scale.log_counts() - said).items() if v}}  # fmt: skip


# --- all of it ---


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=list(DEFAULT_TOTAL))
    parser.add_argument("--bin", metavar="DIR", help="where the programs are (build/release/bin)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the consumer")
    parser.add_argument("--tables", type=int)
    parser.add_argument("--partitions", type=int, default=12, help="of each table")
    parser.add_argument("--total", type=int, metavar="N", help=f"of all tables, by default {DEFAULT_TOTAL}")
    parser.add_argument("--codec", choices=["lz4", "zstd", "none"], default="lz4")
    parser.add_argument("--megabytes", type=float, default=480, help="of a backlog, not compressed")
    parser.add_argument("--item-bytes", type=int, help="one message: 2000, trickle 500")
    parser.add_argument("--in-a-row", type=int, default=50, help="items for a partition before the next one's")
    parser.add_argument("--random", action="store_true", help="items that compress to nothing")
    parser.add_argument("--seconds", type=float, default=30, help="idle, trickle: so long")
    parser.add_argument("--every", type=float, default=2, help="trickle: seconds between a partition's items")
    parser.add_argument("--delay", type=float, default=10, help="trickle: ms added to a round trip")
    parser.add_argument("--busy", action="store_true", help="rebalance: with items arriving")
    parser.add_argument("--rate", type=float, default=1000, help="rebalance: items per second if --busy")
    parser.add_argument("--limit", type=float, default=60, help="rebalance: seconds it may take")
    parser.add_argument("--after", type=float, default=60, help="rebalance: seconds watched afterwards")
    parser.add_argument("--json", action="store_true", help="print a JSON object a row")
    parser.add_argument("--keep", action="store_true", help="keep the servers' data and logs")
    options = parser.parse_args()
    options.item_bytes = options.item_bytes or (500 if options.mode == "trickle" else 2000)
    return options


def tell(options, row):
    print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def main():
    options = options_of()
    if options.bin:
        os.environ["DYNAFERRY_BIN"] = options.bin
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scale: ended by a signal"))
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    mode = {"backlog": backlog, "idle": idle, "trickle": trickle, "rebalance": rebalance}[options.mode]
    with contextlib.ExitStack() as ends:
        ends.callback(parts, "stop" if options.keep else "clean")
        found = start_parts()
        scale = Scale(options, found["KAFKA"], found["MONGODB"])
        ends.callback(scale.drop)
        ends.callback(scale.end_programs)
        for row in mode(scale):
            tell(options, {"mode": options.mode, "partitions": scale.topics.total, **row, "load": load()})


if __name__ == "__main__":
    main()
