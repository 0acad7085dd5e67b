"""What befalls programs: kills, ends, standing still.

Not the kill of a consumer that stood still for longer than its session: docs/positions.md leaves it out.
"""

import signal

from support.positions import SESSION_S

from .event import OfProgram


class Kill(OfProgram):
    weight, lasts = 6, (0, 2)

    def begin(self):
        if not self.slot.at_work or self.slot.silent:
            return False
        self.slot.busy = True
        self.slot.program.kill9()
        return True

    def end(self):
        self.slot.start()


class Stop(OfProgram):
    """Ended as an operator ends it."""

    weight, lasts = 3, (2, 4)

    def begin(self):
        # Before it has begun nobody listens to the signal.
        if not self.slot.at_work or "event=started" not in self.slot.program.log():
            return False
        self.slot.busy = True
        self.slot.program.signal(signal.SIGTERM)
        return True

    def end(self):
        code = self.slot.program.wait(40)
        assert code == 0, f"exit {code} after SIGTERM\n{self.slot.program.story()}"
        self.slot.start()


class Hang(OfProgram):
    weight, lasts = 3, (0.5, 4)

    def begin(self):
        if not self.slot.at_work:
            return False
        self.slot.busy = True
        self.slot.program.hang()
        return True

    def end(self):
        self.slot.busy = False
        self.slot.program.go_on()


class HangPastSession(Hang):
    weight, lasts = 2, (SESSION_S + 2, SESSION_S + 4)

    def begin(self):
        self.slot.silent = super().begin() or self.slot.silent
        return self.slot.busy


KINDS = [
    Kill,
    Stop,
    Hang,
    HangPastSession,
]
