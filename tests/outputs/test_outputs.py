"""No output of the programs shows a secret: whatever the end-to-end tests of this tree have left behind is searched.

Configuration files have secrets, and are left out.
"""

from pathlib import Path

import pytest

OUTPUTS = Path(__file__).resolve().parents[2] / "build" / "e2e"
SECRETS = [
    "e2eSecretKeyThatNoLogMayShow", "fake/secret+key",  # of the source, in all tests
    "swordfish", "horse-battery",  # in addresses
]  # fmt: skip
INPUTS = {".conf"}


def leaks(folder):
    """Which secret stands in which file; and how many files there were."""
    found, count = [], 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in INPUTS:
            continue
        count += 1
        text = path.read_bytes()
        found += [f"{path}: {secret}" for secret in SECRETS if secret.encode() in text]
    return found, count


def test_no_output_shows_a_secret():
    found, count = leaks(OUTPUTS)
    if count == 0:
        pytest.skip("no end-to-end test has run here")
    assert not found, "\n".join(found)


def test_a_secret_is_seen(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "producer-1.log").write_text("reason=mongodb://u:swordfish@h\n")
    (tmp_path / "a" / "dynaferry-1.conf").write_text("target.address = mongodb://u:swordfish@h\n")
    found, count = leaks(tmp_path)
    assert count == 1 and len(found) == 1 and "producer-1.log: swordfish" in found[0]
