"""The client of DynamoDB alone, against servers that were not written with it.

The scripted endpoint computes each signature by itself, and sends gzip with the sum of the packed bytes.
"""

import os
import subprocess

import pytest
from support.running import bin_dir


def calls_pass(url, **environment):
    done = subprocess.run(
        [bin_dir() / "test_ddb_service"],
        env={**os.environ, "DYNAFERRY_TEST_DYNAMODB": url, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and "PASSED  ] 4 test" in done.stdout, done.stdout


def test_every_call_works_against_the_server_of_the_parts(parts):
    calls_pass(parts.dynamodb)


@pytest.mark.parametrize("gzip", ["off", "on"])
def test_every_call_works_against_an_endpoint_that_checks_signatures(fake, gzip):
    fake.settings.gzip = True  # for those who ask for it
    calls_pass(
        fake.url, AWS_ACCESS_KEY_ID=fake.access_key, AWS_SECRET_ACCESS_KEY=fake.secret_key,
        DYNAFERRY_SOURCE_GZIP=gzip,
    )  # fmt: skip
