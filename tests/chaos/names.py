"""Names that come and go, for the programs of a campaign: a resolver that is preloaded into them (resolver.c)."""

import os
import subprocess
from pathlib import Path

from support.running import ROOT

SOURCE = Path(__file__).with_name("resolver.c")
LIBRARY = ROOT / "build" / "chaos" / "resolver.so"


def build():
    """Whole in its place, however many do it at once."""
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    mine = LIBRARY.with_suffix(f".{os.getpid()}")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", mine, SOURCE, "-ldl"], check=True)
    mine.rename(LIBRARY)


class Names:
    def __init__(self, directory):
        build()
        self.directory = directory

    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "CHAOS_NAMES": str(self.directory)}

    def forget(self, name):
        (self.directory / f"{name}.gone").touch()

    def know(self, name):
        (self.directory / f"{name}.gone").unlink(missing_ok=True)
