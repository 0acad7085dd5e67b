"""docker/try: the stack of docker/compose.yaml under writes and kills, on a real engine. See there.

Everything it starts has a project name of its own; nothing else on the engine is touched. A step that fails raises Failed,
and whatever happened, the containers, networks, volumes and (without --keep) images are removed at the end.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import boto3
import pymongo
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "parts"), str(ROOT / "tests" / "e2e")]
import demo  # noqa: E402
import parts  # noqa: E402
from support import oracle  # noqa: E402

WORK = ROOT / "build" / "docker-try"
PROJECT = "dynaferry-try"
SERVERS = ("kafka", "dynamodb", "mongodb")
IMAGES = {name: f"{PROJECT}-{name}" for name in ("base", "dynaferry", *SERVERS)}
KINDS = (demo.ORDERS, demo.READINGS)
TABLES = {f"{kind}-{number}": kind for number in (1, 2, 3) for kind in KINDS}
ITEMS = 400
SCALE = {"producer": 2, "consumer": 3}
HEALTHY_SECONDS = 180
COMPOSE_SAYS = re.compile(r"Creating |\s*Container |Service \S+ uses an undefined secret file")
STARTED = time.monotonic()


class Failed(Exception):
    """What to tell the user, without a trace."""


def say(text=""):
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}".rstrip(), flush=True)


def run(*command, log=None, env=None, check=True, cwd=ROOT):
    """The output; with log, into this file as well."""
    command = [str(word) for word in command]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd, check=False
    )
    if log:
        log.write_text(done.stdout)
    if check and done.returncode:
        last = "\n".join(done.stdout.splitlines()[-30:])
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{last}")
    return done.stdout if check else (done.returncode, done.stdout)


def wait_until(true, seconds, what):
    deadline = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.5)
    return found


# ---- images


def have_image(name):
    return run("docker", "image", "inspect", name, check=False)[0] == 0


def make_base():
    """As debian:bookworm-slim, which leaves out manual pages and documents."""
    tree = WORK / "base"
    run("scripts/fresh", "--tree", env={**os.environ, "FRESH_DIR": str(tree)})
    (tree / "root/etc/dpkg/dpkg.cfg.d/docker").write_text(
        "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-exclude /usr/share/man/*\n"
    )
    run("sh", "-c", f"tar -C '{tree}/root' -c . | docker import - {IMAGES['base']}")
    shutil.rmtree(tree)


def docker_build(name, *arguments, context):
    run(
        "docker", "build", "--build-arg", f"DEBIAN={IMAGES['base']}", "-t", IMAGES[name], *arguments, context,
        log=WORK / f"build-{name}.log",
    )  # fmt: skip


def make_dynaferry():
    revision = run("git", "rev-parse", "--short=12", "HEAD").strip()
    docker_build("dynaferry", "-f", "docker/Dockerfile", "--build-arg", f"REVISION={revision}", context=ROOT)


def make_servers():
    """From the jars of scripts/parts, laid out as in the public images."""
    parts.install([part(WORK) for part in parts.PARTS])
    context = WORK / "servers"
    shutil.rmtree(context, ignore_errors=True)
    for name in SERVERS:
        shutil.copytree(parts.LIB / name, context / name)
    shutil.copytree(parts.LIB / "classes" / "mongodb", context / "mongodb" / "classes")
    shutil.copy(ROOT / "docker" / "test" / "kafka-run", context)
    names = " ".join(f"DynamoDBLocal_lib/{jar.name}" for jar in sorted((context / "dynamodb").glob("*.jar")))
    manifest = f"Main-Class: software.amazon.dynamodb.services.local.main.ServerRunner\nClass-Path: {names}\n"
    with zipfile.ZipFile(context / "DynamoDBLocal.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", fold(manifest))
    for name in SERVERS:
        docker_build(name, "-f", "docker/test/Dockerfile", "--target", name, context=context)
    shutil.rmtree(context)


def fold(manifest):
    """A manifest's lines have 72 bytes at most; the next one begins with a blank."""
    lines = []
    for line in manifest.splitlines():
        lines.append(line[:70])
        lines += [f" {line[at : at + 69]}" for at in range(70, len(line), 69)]
    return "\n".join(lines) + "\n"


def make_images():
    for name, make in (("base", make_base), ("dynaferry", make_dynaferry), ("servers", make_servers)):
        if all(have_image(IMAGES[one]) for one in (SERVERS if name == "servers" else (name,))):
            say(f"image {name}: kept from an earlier run")
        else:
            say(f"image {name}")
            make()


def look_at_image():
    image = IMAGES["dynaferry"]
    closed = ("docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", image)
    for stage in ("producer", "consumer", "fullcheck", "status"):
        say(f"  {run(*closed, f'dynaferry-{stage}', '--version').strip()}")
    say(f"  {run(*closed, 'id').strip()}")
    there = run(*closed, "sh", "-c", "ls /usr/share/man/man1/dynaferry-* /usr/share/doc/dynaferry/README.md").split()
    say(f"  {len(there) - 1} manual pages, README.md")
    [settings] = json.loads(run("docker", "image", "inspect", image, "--format", "[{{json .Config}}]"))
    say(f"  user {settings['User']}, stop signal {settings['StopSignal']}, environment {settings['Env']}")


# ---- the stack


class Stack:
    """docker compose with its files, project and variables."""

    def __init__(self, command, project, files, **variables):
        self.command = [*command, "-p", project, *(word for file in files for word in ("-f", str(file)))]
        self.project = project
        self.env = {**os.environ, **variables}

    def compose(self, *arguments, check=True):
        return run(*self.command, *arguments, env=self.env, check=check)

    def containers(self):
        """[{service, name, id, pid, started, health, restarts}] of the services, by name."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = run("docker", "ps", "-aq", "--filter", label).split()
        found = []
        for state in json.loads(run("docker", "inspect", *ids)) if ids else ():
            found.append({
                "service": state["Config"]["Labels"]["com.docker.compose.service"],
                "name": state["Name"].lstrip("/"), "id": state["Id"], "pid": state["State"]["Pid"],
                "started": state["State"]["StartedAt"], "restarts": state["RestartCount"],
                "health": state["State"].get("Health", {}).get("Status", "none"),
            })  # fmt: skip
        return sorted(found, key=lambda one: one["name"])

    def await_health(self, counts, seconds=HEALTHY_SECONDS):
        def healthy():
            there = [one["service"] for one in self.containers() if one["health"] == "healthy"]
            return all(there.count(service) == count for service, count in counts.items())

        wait_until(healthy, seconds, f"{counts} to be healthy; now {[(c['name'], c['health']) for c in self.containers()]}")

    def save_logs(self):
        for one in self.containers():
            run("docker", "logs", one["id"], log=WORK / f"{one['name']}.log")

    def once(self, service, *arguments, codes=(0,)):
        """A service that ends by itself; its output is printed."""
        say(f"$ docker compose run --rm {service} {' '.join(arguments)}")
        code, text = self.compose("run", "--rm", "-T", service, *arguments, check=False)
        for line in text.splitlines():
            if not COMPOSE_SAYS.match(line):
                print(f"          {line}", flush=True)
        say(f"  exit code {code}")
        if code not in codes:
            raise Failed(f"{service} ended with {code}")

    def down(self):
        self.compose("down", "-v", "--remove-orphans", "--timeout", "20")


def kill(stack, one):
    """Its main process, from outside the engine: the engine takes its own `docker kill` for a wish to stop it."""
    began = time.monotonic()
    os.kill(one["pid"], signal.SIGKILL)

    def is_back():
        now = next((c for c in stack.containers() if c["id"] == one["id"]), None)
        if now is None:
            raise Failed(f"{one['name']} is gone")
        return now["restarts"] > one["restarts"] and now["started"] != one["started"] and now["health"] == "healthy"

    wait_until(is_back, HEALTHY_SECONDS, f"{one['name']} to come back")
    say(f"  {one['name']}: killed, restarted by its policy, healthy after {time.monotonic() - began:.0f} s")


def a_wrong_configuration_does_not_loop():
    name = f"{PROJECT}-wrong"
    run("docker", "run", "-d", "--name", name, "--restart", "unless-stopped", "-e", "DYNAFERRY_FULL_CONCURRENCY=0",
        IMAGES["dynaferry"], "serve", "dynaferry-producer")  # fmt: skip
    try:
        wait_until(lambda: "ended with 78" in run("docker", "logs", name), 30, "exit code 78")
        run("docker", "stop", name)
        [state] = json.loads(run("docker", "inspect", name))
        if state["RestartCount"] or state["State"]["ExitCode"] != 78:
            raise Failed(f"restarted {state['RestartCount']} times, exit code {state['State']['ExitCode']}")
        say("a wrong configuration: exit code 78, not restarted")
    finally:
        run("docker", "rm", "-f", name)


# ---- the data


def create(dynamodb, rng):
    for name, kind in TABLES.items():
        keys = demo.TABLES[kind]
        table = dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": role} for n, _, role in keys],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": sort} for n, sort, _ in keys],
        )
        table.wait_until_exists()
        with table.batch_writer() as batch:
            for number in range(ITEMS):
                batch.put_item(Item=demo.item_of(kind, number, rng))


class Writer(threading.Thread):
    """Puts, updates and deletes until told to stop. What fails may or may not be done: the source decides."""

    def __init__(self, dynamodb, rng):
        super().__init__(daemon=True)
        self.dynamodb, self.rng = dynamodb, rng
        self.written = self.failed = 0
        self.enough = threading.Event()

    def run(self):
        while not self.enough.wait(0.01):
            try:
                self.write_one()
                self.written += 1
            except (BotoCoreError, ClientError):
                self.failed += 1  # it was killed

    def write_one(self):
        name, rng = self.rng.choice(list(TABLES)), self.rng
        kind, number, table, what = TABLES[name], rng.randrange(ITEMS * 6 // 5), self.dynamodb.Table(name), rng.random()
        if what < 0.4:
            table.put_item(Item=demo.item_of(kind, number, rng, self.written + 2))
        elif what < 0.8:
            table.update_item(
                Key=demo.key_of(kind, number),
                UpdateExpression="SET version = :v REMOVE note",
                ExpressionAttributeValues={":v": self.written + 2},
            )
        else:
            table.delete_item(Key=demo.key_of(kind, number))

    def finish(self):
        self.enough.set()
        self.join()


def compare(client, database):
    """Every item, by the tests' own oracle, which shares no code with the programs."""
    for name in TABLES:
        found = oracle.compare(client, name, database[name], "change")
        say(f"  {name}: {found.items} items, {found.same} documents the same, {len(found.differences)} differences")
        if not found or not found.items:
            raise Failed(f"{name} differs: {found.differences[:3]}")


# ---- the aws profile


def aws_files(directory):
    """A copy of docker/ as its user edits it: addresses in aws.conf, secrets as files."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT / "docker", directory)
    (directory / "aws.conf").write_text(
        "id = second\ntopic.prefix = second\nconvert.type = change\nhttp.port = 9400\nhttp.listen = 0.0.0.0\n"
        "source.region = us-east-1\nsource.endpoint_url = http://dynamodb:8000\nkafka.bootstrap.servers = kafka:9092\n"
    )
    secrets = directory / "secrets"
    secrets.mkdir()
    (secrets / "aws_credentials").write_text("[default]\naws_access_key_id = local\naws_secret_access_key = local\n")
    (secrets / "kafka_sasl_password").write_text("not asked for by this Kafka\n")
    (secrets / "target_address").write_text("mongodb://mongodb:27017/\n")
    for path in secrets.iterdir():
        os.chown(path, 10001, 10001)
        path.chmod(0o400)
    network = directory / "network.yaml"
    network.write_text(f"networks:\n  default:\n    external: true\n    name: {PROJECT}_default\n")
    return [directory / "compose.yaml", network]


def no_secret_is_shown(stack):
    told = run("docker", "inspect", *(one["id"] for one in stack.containers()))
    for path in (WORK / "aws" / "secrets").iterdir():
        if path.read_text().strip() in told.replace("\\n", "\n"):
            raise Failed(f"docker inspect shows {path.name}")
    say("docker inspect shows no secret")


def try_aws(command, variables):
    say("The profile aws, with secrets as files: a second bridge from the same tables")
    project = f"{PROJECT}-aws"
    stack = Stack(command, project, aws_files(WORK / "aws"), **{**variables, "COMPOSE_PROFILES": "aws"})
    try:
        stack.compose("up", "-d")
        services = sorted(one["service"] for one in stack.containers())
        if services != ["consumer-aws", "producer-aws"]:
            raise Failed(f"the profile aws started {services}")
        stack.await_health({"producer-aws": 1, "consumer-aws": 1})
        no_secret_is_shown(stack)
        stack.once("status-aws", "--wait-for", "now", "--timeout", "600")
        stack.once("fullcheck-aws", "--settle", "0")
    finally:
        stack.save_logs()
        stack.down()


# ---- all of it


def try_stack(stack, options, port, mongodb_port):
    rng = random.Random(11)
    stack.compose("up", "-d")
    stack.await_health(dict.fromkeys((*SERVERS, "producer", "consumer"), 1))
    say("up -d: all are healthy")
    source = {"endpoint_url": f"http://127.0.0.1:{port}", **demo.CREDENTIALS}
    settings = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30)
    dynamodb = boto3.resource("dynamodb", config=settings, **source)
    create(dynamodb, rng)
    say(f"{len(TABLES)} tables with {ITEMS} items each; a writer goes on")
    writer = Writer(dynamodb, rng)
    writer.start()
    try:
        scale = [word for name, count in SCALE.items() for word in ("--scale", f"{name}={count}")]
        stack.compose("up", "-d", "--no-recreate", *scale)
        stack.await_health(SCALE)
        say(f"up -d {' '.join(scale)}: all are healthy")
        stack.once("status")
        say("Killing each container, one after another")
        for one in stack.containers():
            kill(stack, next(now for now in stack.containers() if now["id"] == one["id"]))
        writer.enough.wait(options.seconds)
    finally:
        writer.finish()
    say(f"the writer has stopped: {writer.written} writes, {writer.failed} failed while DynamoDB Local was away")
    stack.once("status", "--wait-for", "now", "--timeout", "600")
    stack.once("fullcheck", "--settle", "0")
    client = boto3.client("dynamodb", **source)
    with pymongo.MongoClient(f"mongodb://127.0.0.1:{mongodb_port}") as mongo:
        compare(client, mongo["dynaferry"])
    stack.once("status")


def compose_command(given):
    if given:
        return given.split()
    plugin = ["docker", "compose"]
    return plugin if run(*plugin, "version", check=False)[0] == 0 else ["docker-compose"]


def remove_images():
    """Also those without a name that an engine without BuildKit makes of each step."""
    steps = [step for log in WORK.glob("build-*.log") for step in re.findall(r"^ ---> (\w{12})$", log.read_text(), re.M)]
    for image in (*IMAGES.values(), *reversed(steps)):
        run("docker", "rmi", "-f", image, check=False)


def main():
    parser = argparse.ArgumentParser(prog="docker/try", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the images")
    parser.add_argument("--seconds", type=float, default=10, help="how long the writer goes on after the last kill (10)")
    parser.add_argument("--compose", help="the command of docker compose")
    options = parser.parse_args()
    if os.geteuid():
        raise Failed("needs root: it kills the containers' processes")
    WORK.mkdir(parents=True, exist_ok=True)
    command = compose_command(options.compose)
    engine = "engine {{.Server.Version}}, client {{.Client.Version}}"
    say(f"Docker {run('docker', 'version', '--format', engine).strip()}; {run(*command, 'version').splitlines()[0]}")
    port, mongodb_port = parts.free_port(WORK), parts.free_port(WORK)
    variables = {f"{name.upper()}_IMAGE": IMAGES[name] for name in SERVERS} | {"FERRY_IMAGE": IMAGES["dynaferry"]}
    variables |= {"DYNAMODB_PORT": str(port), "MONGODB_PORT": str(mongodb_port)}
    files = [ROOT / "docker" / "compose.yaml", ROOT / "docker" / "test" / "compose.yaml"]
    stack = Stack(command, PROJECT, files, COMPOSE_PROFILES="local", **variables)
    with contextlib.ExitStack() as at_the_end:
        if not options.keep:
            at_the_end.callback(remove_images)
        make_images()
        look_at_image()
        a_wrong_configuration_does_not_loop()
        at_the_end.callback(stack.down)
        at_the_end.callback(stack.save_logs)
        try_stack(stack, options, port, mongodb_port)
        try_aws(command, variables)
    say("all of it is as it should be, and removed again")


if __name__ == "__main__":
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        main()
    except Failed as failure:
        say(f"FAILED: {failure}")
        sys.exit(1)
