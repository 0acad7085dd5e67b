"""The script of a fake: which faults the next requests meet, and the log of all requests.

A fault names a kind, the operation and the fields it is for, and how often. Each request takes one use of
every fault that matches it; `skip` lets that many matching requests pass first, `times` -1 is for ever,
`chance` (with a seeded generator) makes a random campaign repeatable. Any thread may call.
"""
import collections
import itertools
import random
import threading
import time

# kind -> (error name, message, status)
ERRORS = {
    "throttle": ("ProvisionedThroughputExceededException",
                 "The level of configured provisioned throughput for the table was exceeded. Consider "
                 "increasing your provisioning level with the UpdateTable API.", 400),
    "throttling": ("ThrottlingException", "Rate of requests exceeds the allowed throughput.", 400),
    "request_limit": ("RequestLimitExceeded", "Throughput exceeds the current throughput limit for your "
                      "account.", 400),
    "limit": ("LimitExceededException", "Subscriber limit exceeded.", 400),
    "500": ("InternalServerError", "The request processing has failed because of an unknown error, "
            "exception or failure.", 500),
    "503": ("ServiceUnavailableException", "Service is unavailable. Please retry.", 503),
    "expired": ("ExpiredIteratorException", "Iterator expired. The iterator was created more than 15 "
                "minutes ago.", 400),
    "trimmed": ("TrimmedDataAccessException", "The operation attempted to read past the oldest stream "
                "record in a shard.", 400),
    "not_found": ("ResourceNotFoundException", "Requested resource not found", 400),
    "access_denied": ("AccessDeniedException", "User is not authorized to perform this operation", 400),
}
# Each kind with the parameters it takes besides those of every fault.
KINDS = {kind: {"message"} for kind in ERRORS}
KINDS.update({
    "error": {"name", "message", "status"},
    "hold": {"when"}, "delay": {"when", "seconds"},
    "cut": {"when"},             # before | answer | middle
    "drip": {"bytes", "pause"}, "wrong_crc": set(), "no_crc": set(), "cut_json": {"keep"},
    "length": {"claim"}, "flood": {"bytes"}, "body": {"text", "status"},
    "empty": set(), "hide_children": set(), "gzip": set(), "close": set(),
})
HOLD_LIMIT_S = 600


class Fault:
    """One fault. `contains` is a text in the request's bytes, `predicate` (of this process) looks at it all."""

    def __init__(self, number, kind, kinds, op="*", where=None, times=1, skip=0, chance=None,
                 contains=None, predicate=None, **more):
        if kind not in kinds:
            raise ValueError("no fault %r; there are %s" % (kind, ", ".join(sorted(kinds))))
        if set(more) - kinds[kind]:
            raise ValueError("fault %s does not take %s" % (kind, sorted(set(more) - kinds[kind])))
        self.id, self.kind, self.op, self.where = number, kind, op, where or {}
        self.times, self.skip, self.chance, self.more = times, skip, chance, more
        self.contains, self.predicate = contains, predicate
        self.hits, self.held = 0, 0
        self.released = threading.Event()

    def matches(self, op, fields, request):
        return (self.times and self.op in ("*", op)
                and all(fields.get(name) == value for name, value in self.where.items())
                and (self.contains is None or self.contains.encode() in request.raw)
                and (self.predicate is None or self.predicate(request)))

    def error(self):
        """(name, message, status) of the kinds that answer with an error, else None."""
        if self.kind == "error":
            return (self.more["name"], self.more.get("message", ""), self.more.get("status", 400))
        if self.kind in ERRORS:
            name, message, status = ERRORS[self.kind]
            return name, self.more.get("message", message), status
        return None

    def report(self):
        return {"id": self.id, "kind": self.kind, "op": self.op, "where": self.where,
                "times": self.times, "skip": self.skip, "hits": self.hits, "held": self.held,
                **self.more}


class Script:
    def __init__(self, seed=1, kinds=KINDS):
        self.kinds = kinds
        self.changed = threading.Condition()
        self.faults = []
        self.numbers = itertools.count(1)
        self.random = random.Random(seed)
        self.log = collections.deque(maxlen=500000)
        self.requests = 0

    def add(self, kind, **parameters):
        """A new fault; its id."""
        with self.changed:
            fault = Fault(next(self.numbers), kind, self.kinds, **parameters)
            self.faults.append(fault)
            return fault.id

    def take(self, op, fields, request):
        """The faults that this request meets; each has lost one use."""
        with self.changed:
            found = []
            for fault in self.faults:
                if not fault.matches(op, fields, request):
                    continue
                if fault.chance is not None and self.random.random() >= fault.chance:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times > 0:
                    fault.times -= 1
                fault.hits += 1
                found.append(fault)
            self.changed.notify_all()
            return found

    def find(self, fault_id):
        found = next((f for f in self.faults if f.id == fault_id), None)
        if found is None:
            raise ValueError("no fault %r" % fault_id)
        return found

    def hold(self, fault):
        """Holds the calling request until the fault is released."""
        with self.changed:
            fault.held += 1
            self.changed.notify_all()
        fault.released.wait(HOLD_LIMIT_S)
        with self.changed:
            fault.held -= 1
            self.changed.notify_all()

    def release(self, fault_id):
        """Lets everything go on that this fault holds, and holds nothing more."""
        with self.changed:
            fault = self.find(fault_id)
            fault.times = 0
            fault.released.set()

    def clear(self):
        """No more faults; what is held goes on."""
        with self.changed:
            for fault in self.faults:
                fault.released.set()
            self.faults = []

    def wait(self, condition, timeout):
        """Whether the condition (looked at again after each request) came true in time."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(min(left, 0.1))
            return True

    def begin(self, op, fields, connection):
        """A log entry for a request that has come in."""
        entry = {"op": op, "fields": fields, "connection": connection, "start": time.monotonic(),
                 "ready": None, "end": None, "status": None, "faults": []}
        with self.changed:
            self.requests += 1
            entry["n"] = self.requests
            self.log.append(entry)
            self.changed.notify_all()
        return entry

    def end(self, entry, status):
        with self.changed:
            entry["end"], entry["status"] = time.monotonic(), status
            self.changed.notify_all()

    def entries(self, op=None, since=0, **where):
        """Log entries, oldest first."""
        with self.changed:
            return [dict(e) for e in self.log
                    if e["n"] > since and op in (None, e["op"])
                    and all(e["fields"].get(k) == v for k, v in where.items())]
