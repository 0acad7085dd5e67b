"""The servers, tables, writers and programs that some rounds in a row share, and what must hold after each.

Programs that were not ended live on from round to round, so that what leaks shows. Every program reaches Kafka
through a proxy of its own; all producers reach DynamoDB through one gate, all consumers MongoDB through one proxy.
"""

import json
import random
import time

import confluent_kafka
from confluent_kafka.admin import NewTopic
from fakes.dynamodb import FakeDynamoDB
from fakes.kafka_proxy import KafkaProxy
from fakes.mongo_proxy import MongoProxy
from fakes.tcp_gate import TcpGate
from support import oracle, topic_check, workload
from support.bridge import Bridge, complain
from support.fullcheck_tool import STATIC, Checker
from support.running import PATIENCE

from . import log_truth
from .by_hand import ByHand
from .growth import Growth
from .names import Names

TIMEOUT_MS = 1500  # of MongoDB and of the socket: a grace of twice that
SETTLE_S = 150


class Slot:
    """The place of one program: who is there, and what has befallen it."""

    def __init__(self, chain, role, number):
        self.chain, self.role, self.number = chain, role, number
        self.name = f"{role}-{number}"
        self.kafka = KafkaProxy(chain.parts.kafka)
        self.kafka.__enter__()
        self.program = None
        self.busy = False  # hung, or ending
        self.silent = False  # it stood still for longer than its session

    def start(self):
        self.program = self.run(self.role)
        self.busy = self.silent = False

    def run(self, role, arguments=(), **settings):
        """A program that meets what befalls those here."""
        chain, settings = self.chain, {"kafka.bootstrap.servers": self.kafka.address, **settings}
        env = {"DYNAFERRY_MUTATION": chain.options.mutation} if chain.options.mutation else {}
        if chain.names:
            env.update(chain.names.environment())
            settings["source.endpoint_url"] = f"http://source.test:{chain.gate.port}"
            settings["target.address"] = f"mongodb://target.test:{chain.mongo.port}/"
        return chain.bridge.program(role, settings, arguments, env=env).start()

    @property
    def at_work(self):
        return self.program is not None and self.program.running and not self.busy


class ChaosWriter(workload.Writer):
    """A writer that goes on while its table is not there."""

    def step(self):
        try:
            super().step()
        except self.client.exceptions.ResourceNotFoundException:
            pass  # between its end and its new begin


class Chain:
    def __init__(self, parts, directory, seed, options):
        self.parts, self.directory, self.options = parts, directory, options
        self.rng = random.Random(f"chain {seed}")
        self.lines, self.began = [], time.monotonic()
        self.fake = FakeDynamoDB(seed=seed, trust_boto=True).start()
        self.gate = TcpGate("127.0.0.1", self.fake.http.port)
        self.mongo = MongoProxy("%s:%d" % parts.mongo.address)
        self.sanitized = options.asan or options.tsan
        self.names = None if self.sanitized else Names(directory)  # a sanitizer must be loaded first
        keys = self.fake.access_key, self.fake.secret_key
        self.bridge = Bridge(parts, directory, self.fake.url, keys)
        self.bridge.settings.update(self.drawn_settings())
        self.tables, self.truths, self.taps, self.lossy = [], {}, {}, set()
        self.add_tables()
        self.slots = [Slot(self, "producer", n) for n in range(options.producers)]
        self.slots += [Slot(self, "consumer", n) for n in range(options.consumers)]
        self.by_hand = ByHand(self)
        self.growth = Growth()
        self.verified = {}  # what of the ledger was looked at
        for slot in self.slots:
            slot.start()

    def tell(self, text):
        self.lines.append(f"{time.monotonic() - self.began:7.1f} s  {text}")
        with open(self.directory / "story.txt", "a") as story:
            print(self.lines[-1], file=story)

    # --- what there is ---

    def drawn_settings(self):
        rng = self.rng
        return {
            "source.endpoint_url": f"http://{self.gate.address}",
            "target.address": self.mongo.uri,
            "source.doubt.ms": 5000,
            "target.max_time_ms": TIMEOUT_MS,
            "target.socket.timeout.ms": TIMEOUT_MS,
            "target.batch.ms": rng.choice((0, 20, 200)),
            "target.id": rng.choice(("objectid", "key")),
            "convert.type": rng.choice(("raw", "change")),
            "topic.partitions": rng.randint(1, 3),
            "ledger.partitions": rng.randint(1, 3),
            "full.read.concurrency": rng.randint(1, 3),
            "qps.full.batch_num": rng.choice((5, 20, 100)),
            "commit.interval.ms": rng.choice((0, 100, 500)),
            "discovery.interval.ms": 500,
            "log.level": "info",
        }

    def add_tables(self):
        rng = self.rng
        self.fake.control.set(
            shards=rng.randint(1, 3),
            page_shards=rng.choice((1, 2, 3, 100)),
            shard_filter=rng.choice(("children", "children", "ignored", "refused")),
            hide_chance=rng.choice((0, 0, 0.3)),
            hide_s=[0.1, 1.2],
            late_listing_s=rng.choice((0, 0.2, [0, 1.2])),
            update_lag_s=rng.choice((0, 0, 1)),
        )
        kinds = workload.all_tables("")
        plain, sorted_ones = [kinds[:3], kinds[3:]]
        for number, choice in enumerate((plain, sorted_ones, kinds)):
            table = self.bridge.add_table(rng.choice(choice).key_schema)
            writer = ChaosWriter(
                self.bridge.dynamodb, table, number, keys=rng.randint(20, 60), rate=15, dots=False, refused=0
            )
            writer.fill()
            self.bridge.writers.append(writer)
            self.tables.append(table)
            self.truths[table] = log_truth.Truth(self.fake, table)
            self.taps[table] = log_truth.Tap(self.bridge, table)

    def write_from(self, seed):
        """Writers begin; what they write is the seed's."""
        for number, writer in enumerate(self.bridge.writers):
            writer.rng.seed(f"{seed}/{number}")
            writer.start()

    # --- what befalls them ---

    def lost(self, event):
        """From here on a new generation may begin where this event lost something."""
        self.lossy |= {"all": set(self.tables), "this": {event.table}}.get(event.loses, set())

    def has_stream(self, table):
        model = self.model(table)
        return bool(model and model.stream)

    def writer_of(self, table):
        return self.bridge.writers[self.tables.index(table)]

    def let_pass(self, hours):
        """By the service's clock."""
        self.fake.control.set(clock_offset_s=self.fake.settings.clock_offset_s + hours * 3600)

    def dead_programs(self):
        return [
            f"{slot.name} ended by itself with {slot.program.process.returncode}:\n{slot.program.story()}"
            for slot in self.slots
            if not slot.program.running and not slot.program.killed and not slot.busy
        ]

    # --- settling ---

    def settle(self):
        """Waits until everything is as it must be; the last look's complaints are the failure's."""
        deadline = time.monotonic() + SETTLE_S * PATIENCE
        self.bridge.stop_writers()
        for slot in self.slots:
            assert slot.at_work, f"{slot.name} is not at work"
        told = None
        while True:
            found = self.dead_programs()
            assert not found, "\n".join(found)
            found = self.unsettled()
            if not found:
                return
            if found[0] != told:
                told = found[0]
                self.tell(f"unsettled: {told[:200]}")
            if time.monotonic() > deadline:
                raise AssertionError("unsettled: " + "\n".join(found[:20]))
            time.sleep(0.5)

    def unsettled(self):
        """What is still missing; what costs more is looked at when nothing else is."""
        ledger = self.ledger()
        out = [line for table in self.tables for line in self.log_behind(table, ledger)]
        out = out or [line for table in self.tables for line in self.target_behind(table, ledger)]
        out = out or [line for slot in self.slots for line in self.ill(slot)]
        out = out or self.by_hand.finish()
        return out or [line for table in self.tables for line in self.target_wrong(table)]

    def ill(self, slot):
        status, text = slot.program.get("/healthz")
        return [] if status == 200 else [f"{slot.name}: /healthz says {status} {text}"]

    def ledger(self):
        topic, newest = f"{self.bridge.prefix}-ledger", {}
        if topic_check.partitions_of(self.parts.kafka, topic):
            for message in topic_check.read_messages(self.parts.kafka, topic):
                value = message.value()
                newest[message.key().decode()] = json.loads(value) if value else None
        return {key: value for key, value in newest.items() if value is not None}

    def model(self, table):
        """The table as the endpoint has it; None: it is not there now."""
        return self.fake.backend.tables.get(table.name)

    def log_behind(self, table, ledger):
        state, model = ledger.get(f"table/{table.name}"), self.model(table)
        if not model.stream:
            return [f"{table.name} has no stream"]
        if not state:
            return [f"{table.name} is not in the ledger"]
        if state["phase"] != "tail":
            return [f"{table.name} is in phase {state['phase']}: {state['reason']}"]
        if state["table_id"] != model.id or state["stream_arn"] != model.streams[-1].arn:
            return [f"{table.name}: its generation is of another table or stream"]
        out = []
        for shard in model.streams[-1].shards:
            record = ledger.get(f"shard/{table.name}/{shard.id}", {})
            if shard.vanished or not shard.records or record.get("status") == "no need to process":
                continue
            if int(record.get("sequence") or -1) < shard.records[-1].seq:
                out.append(f"{table.name}: {shard.id} is read to {record or 'nothing'}")
        return out

    def target_behind(self, table, ledger):
        tap = self.taps[table]
        if not tap.update():
            return [f"{tap.topic} is not there"]
        out = []
        generation, log_id = (ledger[f"table/{table.name}"][name] for name in ("generation", "log_id"))
        for partition, offset in tap.last_offsets().items():
            found = self.bridge.position(table, partition)
            marks = found.get("rewind"), found.get("again")
            told = found.get("generation"), found.get("log_id")
            if found.get("offset", -1) <= offset or marks != (None, None) or told != (generation, log_id):
                out.append(f"{tap.topic}/{partition} ends at {offset}, its position is {found}")
        return out

    def target_wrong(self, table):
        settings = self.bridge.settings
        found = self.bridge.verify_target(table, settings["convert.type"], settings["target.id"])
        return [f"{table.name}: {line}" for line in found]

    # --- the judgment ---

    def judge(self):
        """Everything that must hold now that all is settled."""
        report = Checker(self.bridge).run(*STATIC)
        report.complain()
        out = []
        for table in self.tables:
            tap, truth = self.taps[table], self.truths[table].update()
            tap.update()
            arn = self.model(table).streams[-1].arn
            out += log_truth.check_form(tap, self.bridge.prefix)
            generations = {r.generation for log in tap.logs for r in log if not r.bad}
            if table not in self.lossy and len(generations) > 1:
                out.append(f"{table.name}: begun anew without a cause: generations {sorted(generations)}")
            out += [f"{table.name}: {line}" for line in log_truth.problems(tap, truth, self.bridge.items(table), arn)]
        out += self.ledger_problems() + self.by_hand.letter_problems() + self.dead_programs()
        for program in self.bridge.programs:
            out += [f"{program.name}: {line}" for line in program.sanitizer_reports()]
            if "CHECK failed" in program.log():
                out.append(f"{program.name}: {program.story()}")
        out += self.growth.look([slot.program for slot in self.slots], self.sanitized)
        complain(out)

    def ledger_problems(self):
        """Every record of the ledger that came since fits its schema."""
        topic, checker, out = f"{self.bridge.prefix}-ledger", topic_check.validator("ledger"), []
        for message in topic_check.read_messages(self.parts.kafka, topic):
            place = f"{topic}/{message.partition()}/{message.offset()}"
            if message.value() and place not in self.verified:
                out += topic_check.schema_problems(checker, message.value(), place)
            self.verified[place] = True
        return out

    def evidence(self, text):
        """What helps to find the cause, beside the programs' logs."""
        with open(self.directory / "evidence.txt", "w") as out:
            print(text, file=out)
            for name, value in self.ledger().items():
                print(name, json.dumps(value), file=out)
            for document in self.bridge.target()["dynaferry:applied"].find():
                print(document, file=out)
            for table in self.tables:
                self.taps[table].update()
                for change in self.truths[table].update().changes:
                    key = oracle.show(change.key)
                    print(f"stream {change.made:.3f} {change.place} {key} {change.order} {change.op}", file=out)
                for log in self.taps[table].logs:
                    for r in log:
                        version = r.after and r.after.get("v")
                        print(f"topic {r.logged_s:.3f} {r} {version} {r.headers}", file=out)

    def close(self):
        complaints = self.bridge.close()
        for slot in self.slots:
            slot.kafka.__exit__()
        self.mongo.__exit__()
        self.gate.__exit__()
        self.fake.stop()
        return complaints

    def delete_topic(self, topic):
        self.admin(self.bridge.admin.delete_topics([topic], operation_timeout=20), "UNKNOWN_TOPIC_OR_PART")

    def make_topic(self, topic, partitions):
        """The producer may be faster, and what was deleted may not be gone everywhere."""
        new = NewTopic(topic, partitions, 1, config={"max.message.bytes": "8388608"})
        self.admin(self.bridge.admin.create_topics([new]), "TOPIC_ALREADY_EXISTS")

    @staticmethod
    def admin(futures, harmless):
        for future in futures.values():
            try:
                future.result()
            except confluent_kafka.KafkaException as error:
                if error.args[0].name() != harmless:
                    raise
