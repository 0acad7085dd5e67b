"""Starts, stops and describes the servers that tests and demo run against.

    start [PART...]   starts what is not running; returns when each part has answered a real request
    stop [PART...]    ends what this directory's start began, by process id, and nothing else
    kill [PART...]    the same by SIGKILL, as a crash would
    env               prints the addresses as shell exports
    clean             stop, and remove the data

A part is kafka, dynamodb or mongodb; none named means all. A part whose address is already in the
environment (DYNAFERRY_TEST_KAFKA, ..._DYNAMODB, ..._MONGODB) is somebody else's server: it is used as it
is and never started or stopped. Ports are free ones of 127.0.0.1, chosen at the first start and kept, so
that a part comes back at the same address with its data (DynamoDB Local keeps its data in memory only).
"""

import argparse
import fcntl
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "parts"
LIB = ROOT / "build" / "parts" / "lib"
START_SECONDS = 180
STOP_SECONDS = 20

KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


class Failed(Exception):
    """What to tell the user, without a trace."""


class Part:
    """One server: its directory holds data, log, port and the id of the process started here."""

    name = variable = None
    source = None
    ports = ("port",)

    def __init__(self, base):
        self.dir = base / self.name
        self.given = os.environ.get(self.variable)

    def address(self):
        return self.given or self.url(self.port())

    def port(self, which="port"):
        return int((self.dir / which).read_text())

    def log(self):
        return self.dir / "log"

    def classpath(self):
        return f"{LIB / self.name}/*"

    def choose_ports(self):
        for which in self.ports:
            if not (self.dir / which).exists():
                (self.dir / which).write_text(str(free_port(self.dir.parent)))

    def forget_ports(self):
        for which in self.ports:
            (self.dir / which).unlink(missing_ok=True)

    def pid(self):
        """The process that start began, or None: a number that another process got since is not it."""
        try:
            pid, born = (self.dir / "pid").read_text().split()
        except FileNotFoundError:
            return None
        return int(pid) if birth(int(pid)) == born else None

    def start(self):
        if self.given:
            return f"{self.name}: {self.given} (given)"
        self.dir.mkdir(parents=True, exist_ok=True)
        if self.pid():
            self.await_answer()
            return f"{self.name}: {self.address()} (was running)"
        fresh = not (self.dir / "port").exists()
        for attempts_left in (2, 1, 0):
            self.choose_ports()
            began = time.monotonic()
            self.spawn()
            try:
                self.await_answer()
                return f"{self.name}: {self.address()} (started in {time.monotonic() - began:.1f} s)"
            except Failed:
                # Another process may have taken the free port in between.
                self.stop()
                if not fresh or not attempts_left or "in use" not in self.log().read_text(errors="replace"):
                    raise
                self.forget_ports()

    def spawn(self):
        self.prepare()
        with open(self.log(), "ab") as log:
            process = subprocess.Popen(
                self.command(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.dir / "pid").write_text(f"{process.pid} {birth(process.pid)}")

    def prepare(self):
        pass

    def await_answer(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            error = self.probe()
            if error is None:
                return
            if not self.pid():
                raise Failed(f"{self.name} ended while starting:\n{tail(self.log())}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} gave no answer in {START_SECONDS} s ({error}):\n{tail(self.log())}")
            time.sleep(0.1)

    def probe(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port()), timeout=1):
                pass
            self.ask()
            return None
        except Exception as error:  # whatever the client library throws: it is not ready
            return error

    def stop(self, how=signal.SIGTERM):
        pid = self.pid()
        if pid:
            end(pid, how)
        (self.dir / "pid").unlink(missing_ok=True)
        return f"{self.name}: {'given, left alone' if self.given else 'stopped' if pid else 'was not running'}"


class Kafka(Part):
    name, variable = "kafka", "DYNAFERRY_TEST_KAFKA"
    ports = ("port", "controller")

    def url(self, port):
        return f"127.0.0.1:{port}"

    def java(self, *arguments):
        return ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-cp", self.classpath(), *arguments]

    def prepare(self):
        data = self.dir / "data"
        properties = self.dir / "server.properties"
        properties.write_text(
            KAFKA_PROPERTIES.format(port=self.port(), controller=self.port("controller"), data=data)
        )
        if not (data / "meta.properties").exists():
            run(self.java("kafka.tools.StorageTool", "format", "-t", "ZHluYWZlcnJ5LXBhcnRzIQ", "-c", str(properties)))

    def command(self):
        return self.java("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "kafka.Kafka", "server.properties")

    def ask(self):
        """Transactions: their coordinator is the last thing that comes up."""
        from confluent_kafka import Producer

        quiet = {"log_level": 0, "error_cb": lambda error: None}
        producer = Producer({"bootstrap.servers": self.address(), "transactional.id": "parts-probe", **quiet})
        producer.init_transactions(20)


class DynamoDb(Part):
    name, variable = "dynamodb", "DYNAFERRY_TEST_DYNAMODB"
    source = "dynamodb"

    def url(self, port):
        return f"http://127.0.0.1:{port}"

    def command(self):
        return [
            "java", "-Xms64m", "-Xmx1g", f"-Djava.library.path={LIB / self.name}",
            "-cp", f"{LIB / 'classes' / self.source}:{self.classpath()}",
            "Launcher", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(self.port()),
        ]  # fmt: skip

    def ask(self):
        import boto3

        boto3.client(
            "dynamodb", endpoint_url=self.address(), region_name="us-east-1",
            aws_access_key_id="local", aws_secret_access_key="local",
        ).list_tables()  # fmt: skip


class MongoDb(Part):
    name, variable = "mongodb", "DYNAFERRY_TEST_MONGODB"
    source = "mongodb"

    def url(self, port):
        return f"mongodb://127.0.0.1:{port}"

    def command(self):
        return [
            "java", "-Xms64m", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", f"{LIB / 'classes' / self.source}:{self.classpath()}",
            "Launcher", str(self.port()), *([] if os.environ.get("PARTS_IN_MEMORY") else ["data.h2"]),
        ]  # fmt: skip

    def ask(self):
        import pymongo

        with pymongo.MongoClient(self.address(), serverSelectionTimeoutMS=2000) as client:
            client.admin.command("ping")


PARTS = (Kafka, DynamoDb, MongoDb)


def free_port(base):
    """Below the range from which a system gives ports to whoever asks for any: a part that was killed finds its
    port again, which no connection of a client (not even one to this very port) was given meanwhile. The tests'
    workers, which start at once, each have their own range, by the number their directories end with."""
    worker = re.search(r"gw(\d+)$", base.name)
    first = 10_000 + 1_250 * (int(worker[1]) % 8 if worker else 0)
    while True:
        port = random.randrange(first, first + 1_250)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody is there
            return port


def birth(pid):
    """When the process began, in clock ticks; None if there is none (a zombie is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def end(pid, how):
    os.kill(pid, how)
    os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + STOP_SECONDS
    born = birth(pid)
    while born and birth(pid) == born:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def tail(path, lines=15):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command[:3]))} ... failed:\n{done.stdout}")


def install(parts):
    """Resolves the jars and compiles our launchers, once for each state of tests/parts."""
    LIB.mkdir(parents=True, exist_ok=True)
    with open(LIB / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another directory's start may be at it
        for part in parts:
            install_part(part)


def install_part(part):
    sources = sorted((SOURCES / part.source).glob("*.java")) if part.source else []
    state = hashlib.sha256()
    for path in (SOURCES / "pom.xml", *sources):
        state.update(path.read_bytes())
    stamp = LIB / f"{part.name}.stamp"
    if stamp.exists() and stamp.read_text() == state.hexdigest():
        return
    print(f"{part.name}: fetching", file=sys.stderr)
    shutil.rmtree(LIB / part.name, ignore_errors=True)
    run(
        ["mvn", "-q", "-B", "-f", SOURCES / "pom.xml", f"-P{part.name}",
         "dependency:copy-dependencies", f"-DoutputDirectory={LIB / part.name}"]
    )  # fmt: skip
    if sources:
        classes = LIB / "classes" / part.source
        shutil.rmtree(classes, ignore_errors=True)
        classes.mkdir(parents=True)
        run(["javac", "-d", classes, "-cp", part.classpath(), *sources])
    stamp.write_text(state.hexdigest())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["start", "stop", "kill", "env", "clean"])
    parser.add_argument("part", nargs="*", choices=[[], *(part.name for part in PARTS)])
    parser.add_argument("--dir", type=Path, default=ROOT / "build" / "parts", help="where data, logs and pids are")
    options = parser.parse_args()
    parts = [part(options.dir.resolve()) for part in PARTS if not options.part or part.name in options.part]

    if options.verb == "env":
        for part in parts:
            if part.given or part.pid():
                print(f"export {part.variable}={part.address()}")
        return
    if options.verb == "start":
        install([part for part in parts if not part.given])
    with ThreadPoolExecutor() as pool:
        for line in pool.map(lambda part: carry_out(options.verb, part), parts):
            print(line)


def carry_out(verb, part):
    if verb == "start":
        return part.start()
    line = part.stop(signal.SIGKILL if verb == "kill" else signal.SIGTERM)
    if verb == "clean" and not part.given:
        shutil.rmtree(part.dir, ignore_errors=True)
    return line


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"parts: {failure}")
