"""A scripted DynamoDB with Streams on 127.0.0.1, in memory.

It answers boto3 and our own client as the service would, until a script tells it to misbehave (script.py
lists the faults, control.py the verbs). As a command: `python3 -m fakes.dynamodb --port N`, which prints
one line of JSON with its url and keys.
"""
import argparse
import json
import random
import time

from . import signature
from .backend import Backend, ServiceError, decode_iterator
from .control import Control, wait_for_interrupt
from .http_wire import Answer, HttpServer
from .script import Script
from .settings import Settings
from .values import dumps

PREFIXES = {"ValidationException": "com.amazon.coral.validate#",
            "ThrottlingException": "com.amazon.coral.availability#",
            "ServiceUnavailableException": "com.amazon.coral.availability#",
            "SerializationException": "com.amazon.coral.service#",
            "UnknownOperationException": "com.amazon.coral.service#",
            "AccessDeniedException": "com.amazon.coral.service#",
            "InvalidSignatureException": "com.amazon.coral.service#",
            "IncompleteSignatureException": "com.amazon.coral.service#",
            "UnrecognizedClientException": "com.amazon.coral.service#",
            "MissingAuthenticationTokenException": "com.amazon.coral.service#"}
TARGETS = ("DynamoDB_20120810", "DynamoDBStreams_20120810")
STREAMS_OPERATIONS = ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")
ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def request_id():
    return "".join(random.choices(ID_LETTERS, k=52))


def error_answer(name, message, status, more=None):
    """An error in the service's shape; some of its layers spell the member with a capital letter."""
    prefix = PREFIXES.get(name, "com.amazonaws.dynamodb.v20120810#")
    member = "Message" if name == "AccessDeniedException" else "message"
    return Answer(status, dumps({"__type": prefix + name, member: message, **(more or {})}).encode())


def log_fields(op, fields):
    """What the log and a fault's `where` see: the request, with the shard of an iterator spelled out."""
    seen = {k: v for k, v in fields.items() if k not in ("Item", "RequestItems")}
    if op == "GetRecords":
        try:
            arn, shard, after, _, _ = decode_iterator(fields["ShardIterator"])
            seen.update(StreamArn=arn, ShardId=shard, After=str(after))
        except (KeyError, ServiceError):
            pass  # the operation itself will refuse it
    if op == "BatchGetItem" and len(fields.get("RequestItems", {})) == 1:
        (name, request), = fields["RequestItems"].items()
        seen.update(TableName=name, ConsistentRead=request.get("ConsistentRead"), Keys=request.get("Keys"))
    arn = seen.get("StreamArn", "")
    if "TableName" not in seen and ":table/" in arn:
        seen["TableName"] = arn.split(":table/")[1].split("/")[0]
    return seen


class FakeDynamoDB:
    """Use as a context manager, or start() and stop(). `control` scripts it, `script.log` has all requests."""

    def __init__(self, port=0, access_key="AKIDFAKE", secret_key="fake/secret+key", token=None, seed=1,
                 **settings):
        self.access_key, self.secret_key, self.token = access_key, secret_key, token
        self.settings = Settings()
        self.settings.change(**settings)
        self.backend = Backend(self.settings, random.Random(seed))
        self.script = Script(seed)
        self.control = Control(self.backend, self.script)
        self.http = HttpServer(self._handle, port)
        self.url = "http://127.0.0.1:%d" % self.http.port

    def start(self):
        self.http.start()
        return self

    def stop(self):
        self.script.clear()
        self.http.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def client(self, service="dynamodb", **config):
        """A boto3 client of this endpoint; service is dynamodb or dynamodbstreams."""
        import boto3
        from botocore.config import Config
        retries = config.pop("retries", {"total_max_attempts": 1})
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1",
                            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
                            aws_session_token=self.token, config=Config(retries=retries, **config))

    # One request

    def _handle(self, request):
        if request.target.startswith("/_control"):
            return answer_control(self.control, request)
        op, fields, refusal = self._read(request)
        entry = self.script.begin(op, log_fields(op, fields), request.connection)
        entry["agent"] = request.headers.get("user-agent", "")
        faults = self.script.take(op, entry["fields"], request)
        entry["faults"] = [f.kind for f in faults]
        answer = refusal or self._answer(op, fields, faults)
        if answer is None:
            self.script.end(entry, None)
            return None
        answer.clock_offset_s = self.settings.clock_offset_s
        answer.headers["x-amzn-RequestId"] = request_id()
        answer.gzip = (answer.gzip or self.settings.gzip) and request.accepts_gzip()
        answer.crc = answer.crc and self.settings.crc
        entry["ready"] = time.monotonic()
        answer.done = lambda: self.script.end(entry, answer.status)
        return answer

    def _read(self, request):
        """(operation, fields, an error answer or None)"""
        service, _, op = request.headers.get("x-amz-target", "").partition(".")
        if self.settings.check_signature and not self._trusted(request):
            wrong = signature.check(request, self.access_key, self.secret_key, self.token,
                                    self.settings.clock_offset_s)
            if wrong:
                return op, {}, error_answer(*wrong, 400)
        if service not in TARGETS or (op in STREAMS_OPERATIONS) != (service == TARGETS[1]):
            return op, {}, error_answer("UnknownOperationException", "", 400)
        try:
            fields = json.loads(request.body or b"{}")
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return op, {}, error_answer("SerializationException", "Start of structure expected", 400)
        return op, fields, None

    def _trusted(self, request):
        return self.settings.trust_boto and "Boto3" in request.headers.get("user-agent", "")

    def _answer(self, op, fields, faults):
        for fault in faults:
            self._pause(fault, "before")
        for fault in faults:
            if fault.error():
                return error_answer(*fault.error())
            if fault.kind == "cut" and fault.more.get("when", "before") == "before":
                return None
        kinds = {f.kind for f in faults}
        try:
            text = self.backend.call(op, fields, "hide_children" in kinds, "empty" in kinds)
            answer = Answer(200, text.encode("utf-8", "surrogatepass"))
        except ServiceError as e:
            answer = error_answer(e.name, e.message, e.status, e.more)
        for fault in faults:
            self._pause(fault, "after")
        if any(f.kind == "cut" and f.more.get("when") == "answer" for f in faults):
            return None
        for fault in faults:
            spoil(answer, fault)
        return answer

    def _pause(self, fault, when):
        if fault.more.get("when", "before") != when:
            return
        if fault.kind == "hold":
            self.script.hold(fault)
        elif fault.kind == "delay":
            self.http.stopping.wait(fault.more["seconds"])


def answer_control(control, request):
    """A verb that came over HTTP."""
    try:
        arguments = json.loads(request.body)
        status, told = 200, {"result": control.do(arguments.pop("do"), arguments)}
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ServiceError) as e:
        status, told = 400, {"error": "%s: %s" % (type(e).__name__, e)}
    return Answer(status, json.dumps(told, default=str).encode())


def spoil(answer, fault):
    """Does to a good answer what this fault asks for."""
    kind, more = fault.kind, fault.more
    if kind == "cut":
        answer.cut_after = "middle"
    elif kind == "drip":
        answer.drip = more.get("bytes", 1000), more.get("pause", 0.01)
    elif kind == "wrong_crc":
        answer.wrong_crc = True
    elif kind == "no_crc":
        answer.crc = False
    elif kind == "cut_json":
        answer.body = answer.body[:int(len(answer.body) * more.get("keep", 0.5))]
    elif kind == "length":
        answer.claimed_length = more["claim"]
    elif kind == "flood":
        answer.flood_bytes = more["bytes"]
    elif kind == "body":
        answer.body, answer.status = more["text"].encode(), more.get("status", 200)
    elif kind == "gzip":
        answer.gzip = True
    elif kind == "close":
        answer.close = True


def main():
    parser = argparse.ArgumentParser(description="A scripted DynamoDB endpoint for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--access-key", default="AKIDFAKE")
    parser.add_argument("--secret-key", default="fake/secret+key")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON",
                        help="a setting, such as gzip=true or shards=4")
    args = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (s.split("=", 1) for s in args.set)}
    with FakeDynamoDB(args.port, args.access_key, args.secret_key, seed=args.seed, **settings) as fake:
        print(json.dumps({"url": fake.url, "access_key": fake.access_key,
                          "secret_key": fake.secret_key, "time": int(time.time())}), flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
