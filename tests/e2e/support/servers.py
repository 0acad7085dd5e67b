"""The servers of the tests: given by environment, or started by scripts/parts."""

import os
import re
import subprocess

import pymongo
import pytest

from .running import ROOT, WORKER

VARIABLES = {
    "kafka": "DYNAFERRY_TEST_KAFKA",
    "dynamodb": "DYNAFERRY_TEST_DYNAMODB",
    "mongodb": "DYNAFERRY_TEST_MONGODB",
}


class Parts:
    """The servers' addresses (all three, or those named); those that scripts/parts started may be stopped and
    started again. Each worker has servers of its own, so that it alone stops them."""

    def __init__(self, *names):
        self.directory = ROOT / "build" / (f"parts-{WORKER}" if WORKER else "parts")
        self.ours = {name for name, variable in VARIABLES.items() if not os.environ.get(variable)}
        self.script("start", *names)
        exported = dict(re.findall(r"^export (\w+)=(.*)$", self.script("env"), re.M))
        for name in names or VARIABLES:
            setattr(self, name, exported[VARIABLES[name]])
        self.mongo = pymongo.MongoClient(self.mongodb, retryWrites=False)

    def script(self, *arguments):
        done = subprocess.run(
            [ROOT / "scripts" / "parts", *arguments, "--dir", self.directory],
            stdout=subprocess.PIPE, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"scripts/parts {' '.join(arguments)}: exit {done.returncode}"
        return done.stdout

    def need_ours(self, *names):
        """Skips the test when it would have to stop a server that somebody else gave."""
        for name in names:
            if name not in self.ours:
                pytest.skip(f"{name} was given by {VARIABLES[name]} and is not ours to stop")
