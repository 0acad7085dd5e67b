"""A name that does not resolve, at the start and in mid-run: an end that is away, never the program's end by an abort."""

import subprocess

import pytest
from support.fullcheck_cases import s
from support.fullcheck_tool import STATIC, Checker, fill_source, fill_target
from support.running import wait_until

NOWHERE = "nosuch.invalid"
SRV = f"mongodb+srv://ferry:hidden@cluster0.{NOWHERE}/"
PROXY = {"http_proxy": f"http://noproxy.{NOWHERE}:3128"}
UNREACHABLE, UNKNOWN = 69, 2


def ended(program, code, *words):
    """It ended with this code, and told why in its own words."""
    assert program.wait(60) == code, program.story()
    told = program.log()
    assert "CHECK failed" not in told and "hidden" not in told, program.story()
    for word in words:
        assert word in told, program.story()


# --- at the start ---


@pytest.mark.parametrize(
    "url, env, words",
    [
        (f"http://{NOWHERE}:8000", {}, NOWHERE),
        (f"https://{NOWHERE}", {}, NOWHERE),
        ("http://dynamodb.example:8000", PROXY, f"noproxy.{NOWHERE}"),
    ],
    ids=["http", "https", "proxy"],
)
def test_a_source_whose_name_does_not_resolve_is_unreachable(bridge, url, env, words):
    producer = bridge.producer({"source.endpoint_url": url, "start.timeout": 2}, env=env)
    ended(producer, UNREACHABLE, words)


def test_a_target_whose_srv_name_does_not_resolve_is_unreachable(bridge):
    consumer = bridge.consumer({"target.address": SRV, "start.timeout": 2})
    ended(consumer, UNREACHABLE, f"MongoDB at cluster0.{NOWHERE} does not answer")


@pytest.mark.parametrize(
    "settings, env, words",
    [
        ({"source.endpoint_url": f"http://{NOWHERE}:8000"}, {}, NOWHERE),
        ({"source.endpoint_url": "http://dynamodb.example:8000"}, PROXY, f"noproxy.{NOWHERE}"),
        ({"target.address": SRV}, {}, f"cluster0.{NOWHERE}"),
    ],
    ids=["source", "proxy", "srv"],
)
def test_fullcheck_can_not_tell_when_a_name_does_not_resolve(bridge, settings, env, words):
    bridge.add_table()
    report = Checker(bridge).run(settings={**settings, "start.timeout": 2}, env=env)
    assert report.code == UNKNOWN, report.summary
    assert words in report.reason, report.summary
    assert "CHECK failed" not in report.log and "hidden" not in report.log


# --- in mid-run ---


class Hosts:
    """A name for the scripted endpoint that a program sees, whose /etc/hosts is a file of its own."""

    NAME = "ferry-source.test"

    def __init__(self, directory, port):
        self.path = directory / "hosts"
        self.url = f"http://{self.NAME}:{port}"
        self.there()

    def there(self):
        self.path.write_text(f"127.0.0.1 localhost {self.NAME}\n")

    def gone(self):
        self.path.write_text("127.0.0.1 localhost\n")

    def give(self, program):
        """Also its process is this program: the shell becomes it."""
        shell = 'mount --bind "$0" /etc/hosts && exec "$@"'
        program.command = ["unshare", "-rm", "sh", "-c", shell, self.path, *program.command]
        return program.start()


@pytest.fixture
def hosts(scripted, directory):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace of one's own")
    found = Hosts(directory, scripted.fake.http.port)
    # Connections end, as behind a balancer, so that the name is looked up again and again.
    scripted.fake.control.fault("close", op="*", times=-1)
    return found


def failures(program):
    return sum("resolve host" in line for line in program.log().splitlines())


def test_a_producer_waits_for_a_name_that_does_not_resolve_any_more(scripted, hosts):
    table = scripted.add_table()
    producer = hosts.give(scripted.program("producer", {"source.endpoint_url": hosts.url}))
    put = lambda key: scripted.dynamodb.put_item(TableName=table.name, Item={"pk": s(key)})
    read = lambda count: sum(r.op == "c" for r in scripted.log(table)) == count
    wait_until(lambda: scripted.phase(table) == "tail", 60, "phase tail", [producer])
    put("before")
    wait_until(lambda: read(1), 60, "the first change", [producer])
    hosts.gone()
    wait_until(lambda: failures(producer) > 3, 60, "failures to resolve", [producer])
    put("meanwhile")
    hosts.there()
    wait_until(lambda: read(2), 60, "the second change", [producer])
    assert scripted.phase(table) == "tail"
    producer.sigterm()


def test_fullcheck_waits_for_a_name_that_does_not_resolve_any_more(scripted, hosts):
    table = scripted.add_table()
    items = [{"pk": s(f"p{n}")} for n in range(40)]
    fill_source(scripted.dynamodb, table, items)
    fill_target(scripted.target()[table.name], items, table.key_schema, "raw")
    held = scripted.fake.control.fault("hold", op="Scan", skip=2)
    check = Checker(scripted).program("--qpsFullBatchNum", "10", *STATIC, settings={"source.endpoint_url": hosts.url})
    hosts.give(check)
    assert scripted.fake.control.wait_held(held), check.story()
    hosts.gone()
    scripted.fake.control.release(held)
    wait_until(lambda: failures(check) > 1, 60, "failures to resolve", [check])
    hosts.there()
    check.report().complain()
