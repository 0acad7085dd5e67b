"""Fixtures: the servers (given by environment, or started by scripts/parts), and a fresh bridge a test.

Logs and configuration files of a test stay under build/e2e/<test>/.
"""

import re
import shutil
import sys

import pytest

pytest.register_assert_rewrite("support")  # a failed assertion there shows its values too
from support.bridge import Bridge  # noqa: E402
from support.running import PATIENCE, ROOT, bin_dir  # noqa: E402
from support.servers import Parts  # noqa: E402

sys.path.insert(0, str(ROOT / "tests"))  # for the fakes, and the campaign


@pytest.fixture(scope="session")
def parts():
    """Started once; left running for the next run, as scripts/parts keeps them by itself."""
    found = Parts()
    yield found
    found.mongo.close()


@pytest.fixture
def directory(request):
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name)
    path = ROOT / "build" / "e2e" / f"{request.node.path.stem}-{name}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


@pytest.fixture
def bridge(parts, directory):
    """A bridge from DynamoDB Local (or what is given); its leftovers fail the test."""
    found = Bridge(parts, directory)
    yield found
    complaints = found.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def fake(parts):
    """A scripted DynamoDB endpoint in this process."""
    from fakes.dynamodb import FakeDynamoDB

    with FakeDynamoDB() as server:
        yield server


@pytest.fixture
def scripted(parts, directory, fake):
    """A bridge from the scripted endpoint, which is at `scripted.fake`."""
    found = Bridge(parts, directory, fake.url, (fake.access_key, fake.secret_key))
    found.fake = fake
    yield found
    complaints = found.close()
    assert not complaints, "\n".join(complaints)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "asan: part of the quick subset that also runs with the sanitizer build"
    )
    config.addinivalue_line("markers", "tsan: part of the few that also run with the programs built with TSan")
    config.addinivalue_line("markers", "campaign: a random campaign, longer by environment variables")


def pytest_report_header():
    return f"dynaferry: programs in {bin_dir()}, patience {PATIENCE}"
