"""One bridge under test: its own topics, tables and database, its programs, and the checks of the whole.

Nothing is shared with another test but the servers. `Bridge.verify` is what nearly every test ends with: the
log against the stream, the ledger against the log, MongoDB against DynamoDB, the dead letters against both.
"""

import functools
import itertools
import uuid

import confluent_kafka
import confluent_kafka.admin
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from . import oracle, topic_check, workload
from .running import Program, wait_until

SECRET_KEY = "e2eSecretKeyThatNoLogMayShow"
ACCESS_KEY = "E2EACCESSKEY"
APPLIED = "dynaferry:applied"


def conf_text(settings):
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


def complain(problems):
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(map(str, problems[:40]))


@functools.cache
def admin_of(bootstrap):
    """One client for all tests: its answers come on threads of its own, which must not be the ones to end it."""
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})


class Bridge:
    def __init__(self, parts, directory, source_url=None, credentials=None):
        self.parts, self.directory = parts, directory
        self.tag = uuid.uuid4().hex[:8]
        self.prefix = f"e2e{self.tag}"
        self.database = f"e2e_{self.tag}"
        self.access_key, self.secret_key = credentials or (ACCESS_KEY, SECRET_KEY)
        self.source_url = source_url or parts.dynamodb
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        self.dynamodb = workload.make_client("dynamodb", self.source_url, **keys)
        self.streams = workload.make_client("dynamodbstreams", self.source_url, **keys)
        self.admin = admin_of(parts.kafka)
        self.tables, self.programs, self.writers = [], [], []
        self.numbers = itertools.count(1)
        self.settings = {
            "id": self.database,
            "topic.prefix": self.prefix,
            "topic.partitions": 4,
            "ledger.partitions": 4,
            "kafka.bootstrap.servers": parts.kafka,
            "source.access_key_id": self.access_key,
            "source.secret_access_key": self.secret_key,
            "source.region": "us-east-1",
            "source.endpoint_url": self.source_url,
            "target.address": parts.mongodb,
            "checkpoint.db": "",  # else a proxy's faults for a table's collection would meet its checkpoints, too
            "sync_mode": "all",
            "convert.type": "raw",
            "log.level": "debug",
            "discovery.interval.ms": 500,
            "source.doubt.ms": 1000,
        }

    # --- tables and writers ---

    def target(self, database=None):
        """The pymongo database a consumer writes to; several consumers may each have their own."""
        return self.parts.mongo[database or self.database]

    def add_table(self, key_schema=None, stream="NEW_AND_OLD_IMAGES", name=None):
        key_schema = key_schema or oracle.KeySchema(("pk",), ("S",))
        table = workload.Table(name or f"t{self.tag}.{len(self.tables)}", key_schema)
        table.create(self.dynamodb, stream)
        self.tables.append(table)
        return table

    def add_all_tables(self):
        for table in workload.all_tables(f"t{self.tag}-"):
            table.create(self.dynamodb)
            self.tables.append(table)
        return self.tables

    def writer(self, table, seed, **more):
        writer = workload.Writer(self.dynamodb, table, seed, **more)
        self.writers.append(writer)
        return writer

    def topic(self, table):
        return f"{self.prefix}.{table.name}"

    def limit_messages(self, table, size):
        """The broker refuses larger batches on the table's topic from now on."""
        self.set_topic(table, "max.message.bytes", size)

    def set_topic(self, table, name, value):
        """A setting of the table's topic."""
        entry = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic(table), incremental_configs=[entry])
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result()

    # --- programs ---

    def conf(self, **changes):
        """A configuration file of its own; `_` in a name stands for a dot, `None` leaves a key out."""
        settings = {
            "filter.collection.white": ";".join(t.name for t in self.tables),
            **self.settings,
            **changes,
        }
        path = self.directory / f"dynaferry-{next(self.numbers)}.conf"
        path.write_text(conf_text({k: v for k, v in settings.items() if v is not None}))
        return path

    def program(self, role, settings=(), arguments=(), conf=None, **more):
        name = f"{role}-{next(self.numbers)}"
        conf = conf or self.conf(**dict(settings))
        program = Program(role, conf, self.directory, name, arguments=arguments, **more)
        self.programs.append(program)
        return program

    def producer(self, settings=(), arguments=(), **more):
        return self.program("producer", settings, arguments, **more).start()

    def consumer(self, settings=(), arguments=(), **more):
        return self.program("consumer", settings, arguments, **more).start()

    def run(self, role, settings=(), arguments=(), seconds=60, **more):
        """Runs a program to its own end; returns it."""
        program = self.program(role, settings, arguments, **more).start()
        program.wait(seconds)
        return program

    # --- what stands where ---

    def source(self, table):
        description = self.dynamodb.describe_table(TableName=table.name)["Table"]
        if "LatestStreamArn" not in description:
            return topic_check.Source([], table.key_schema)
        return topic_check.Source.read(self.streams, description["LatestStreamArn"], table.key_schema)

    def items(self, table):
        return list(oracle.scan(self.dynamodb, table.name))

    def log(self, table, isolation="read_committed"):
        return topic_check.read_log(self.parts.kafka, self.topic(table), table.key_schema, isolation)

    def ledger(self):
        topic = f"{self.prefix}-ledger"
        if not topic_check.partitions_of(self.parts.kafka, topic):
            return {}, []
        return topic_check.read_ledger(self.parts.kafka, topic)

    def dead_letters(self):
        topic = f"{self.prefix}-dead-letter"
        if not topic_check.partitions_of(self.parts.kafka, topic):
            return [], []
        return topic_check.read_dead_letters(self.parts.kafka, topic)

    def phase(self, table):
        return self.ledger()[0].get(f"table/{table.name}", {}).get("phase")

    def transaction_open(self, tables=None):
        """Does a transaction that nobody has ended hold back readers of these tables' topics (of all, and of
        the ledger)?"""
        topics = (
            map(self.topic, tables) if tables else [f"{self.prefix}-ledger", *map(self.topic, self.tables)]
        )
        for topic in topics:
            if topic_check.partitions_of(self.parts.kafka, topic):
                ends = topic_check.open_ends(self.parts.kafka, topic).values()
                if any(stable < high for stable, high in ends):
                    return True
        return False

    def position(self, table, partition, database=None):
        place = f"{self.topic(table)}/{partition}"
        return self.target(database)[APPLIED].find_one({"_id": place}) or {}

    def unapplied(self, table, log, database=None):
        """Partitions of the table whose last record the consumer has not applied."""
        last, out = {}, []
        for record in log:
            last[record.partition] = record.offset
        for partition, offset in last.items():
            position = self.position(table, partition, database)
            # `again`: after an owner without a goodbye everything is applied once more
            marks = position.get("rewind"), position.get("again")
            if position.get("offset", -1) <= offset or marks != (None, None):
                out.append(partition)
        return out

    def group(self, name):
        """(coordinator, members) of a settled group; (None, []) while it is none."""
        try:
            found = self.admin.describe_consumer_groups([name])[name].result()
        except confluent_kafka.KafkaException:
            return None, []  # no such group yet, or its coordinator is loading
        if found.state != confluent_kafka.ConsumerGroupState.STABLE:
            return None, []
        return (found.coordinator.host, found.coordinator.port), found.members

    # --- waiting ---

    def caught_up(self, table, source):
        """Snapshot finished, and each shard's position at the stream's end as `source` shows it."""
        ledger, _ = self.ledger()
        state = ledger.get(f"table/{table.name}")
        if not state or state["phase"] != "tail":
            return False
        newest, since = {}, topic_check.unneeded(source, ledger, table.name)
        for change in source.changes:
            if change.place in since:
                continue
            newest[change.shard] = max(change.sequence, newest.get(change.shard, -1))
        positions = {s: ledger.get(f"shard/{table.name}/{s}", {}).get("sequence") or "-1" for s in newest}
        return all(int(positions[shard]) >= sequence for shard, sequence in newest.items())

    def wait_caught_up(self, seconds=60, tables=None):
        """Everything that the streams hold now is in the log."""
        for table in tables or self.tables:
            source = self.source(table)
            what = f"everything of {table.name} in the log"
            wait_until(lambda: self.caught_up(table, source), seconds, what, self.running())

    def wait_applied(self, seconds=60, tables=None, database=None):
        """Everything that the topics hold now is in MongoDB."""
        for table in tables or self.tables:
            log = self.log(table)
            what = f"everything of {self.topic(table)} in MongoDB"
            wait_until(lambda: not self.unapplied(table, log, database), seconds, what, self.running())

    def running(self):
        """Waiting ends early when one of these programs ends."""
        return [program for program in self.programs if program.running]

    def stop_writers(self):
        for writer in self.writers:
            writer.stop()

    def settle(self, seconds=60, databases=(None,)):
        """Writers stop, the producer reads everything, the consumers apply everything."""
        self.stop_writers()
        self.wait_caught_up(seconds)
        for database in databases:
            self.wait_applied(seconds, database=database)

    # --- checks ---

    def verify_log(self, table, finished=True):
        """Problems of the table's topic and of its ledger."""
        source, log = self.source(table), self.log(table)
        partitions = topic_check.partitions_of(self.parts.kafka, self.topic(table))
        ledger, ledger_problems = self.ledger()
        since = topic_check.unneeded(source, ledger, table.name)
        problems = topic_check.check_log(
            log, source, self.items(table), partitions, self.prefix, table.name, finished, since
        )
        return problems + ledger_problems + topic_check.check_ledger(ledger, log, source, table.name)

    def verify_target(self, table, convert_type, target_id="objectid", database=None, **rules):
        """Problems of the table's collection."""
        collection = self.target(database)[table.name]
        key_schema, items = table.key_schema, self.items(table)
        found = oracle.compare_items(
            items, collection.find(), key_schema, convert_type, target_id=target_id, **rules
        )
        return found.differences

    def verify_dead_letters(self, table, convert_type, **rules):
        """Problems of the consumer's dead letters of the table; both ways of converting refuse the same."""
        letters, problems = self.dead_letters()
        mine = [letter for letter in letters if letter["table"] == table.name]
        log = self.log(table)
        return problems + topic_check.check_dead_letters(log, mine, table.key_schema, convert_type, **rules)

    def verify(self, convert_type="raw", target_id="objectid", finished=True, **rules):
        problems = []
        for table in self.tables:
            problems += self.verify_log(table, finished=finished)
            problems += self.verify_target(table, convert_type, target_id, **rules)
            problems += self.verify_dead_letters(table, convert_type, **rules)
        complain(problems)

    # --- the end ---

    def close(self):
        """Ends and removes everything; returns what a test must not leave behind."""
        complaints = []
        for program in self.programs:
            if program.process and not program.running and not program.killed:
                code = program.process.returncode
                if code < 0:
                    complaints.append(f"{program.name} died of signal {-code}\n{program.story()}")
            program.end()
            complaints += [f"{program.name}: {line}" for line in program.sanitizer_reports()]
            if self.secret_key in program.log():
                complaints.append(f"{program.name}: its log shows the secret key")
        for writer in self.writers:
            writer.cancel()
        for table in self.tables:
            try:
                self.dynamodb.delete_table(TableName=table.name)
            except self.dynamodb.exceptions.ResourceNotFoundException:
                continue  # the test itself deleted it
        for database in self.parts.mongo.list_database_names():
            if database.startswith(self.database):
                self.parts.mongo.drop_database(database)
        self.delete_topics()
        return complaints

    def delete_topics(self):
        topics = self.admin.list_topics(timeout=20).topics
        mine = [t for t in topics if t.startswith((self.prefix + ".", self.prefix + "-"))]
        for future in self.admin.delete_topics(mine, operation_timeout=20).values() if mine else ():
            try:
                future.result()
            except confluent_kafka.KafkaException as error:  # another bridge of the prefix was sooner
                if error.args[0].code() != confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
