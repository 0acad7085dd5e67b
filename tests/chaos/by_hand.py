"""Programs that a person runs beside the others: replays of the log and of dead letters.

In the middle of faults such a program may end without having done it, with a reason. What was not done is asked for
again when all faults are over, and then it must be done. So must every dead letter be handled by then.
"""

import json
import re
import signal

from support import topic_check

DONE, NOT_DONE, UNREACHABLE = 0, 1, 69
REFUSAL = "Document failed validation"
LOG_LOST = "does not reach back to what was asked for"
FAULTY_S, CALM_S = 8, 60  # start.timeout


class ByHand:
    def __init__(self, chain):
        self.chain = chain
        self.running = {}  # slot -> (program, arguments, table)
        self.undone = []  # (arguments, table)
        self.refused = set()  # names of tables of which MongoDB refused documents

    # --- beside faults ---

    def start(self, slot, arguments, table):
        """Whether it was: one at a time in each place, and only once the ledger knows the table."""
        if slot in self.running or f"table/{table.name}" not in self.chain.ledger():
            return False
        program = slot.run("consumer", arguments, **{"start.timeout": FAULTY_S})
        self.running[slot] = program, arguments, table
        return True

    def end(self, slot):
        program, arguments, table = self.running.pop(slot)
        # Before it has begun nobody listens to the signal.
        if program.running and "event=started" in program.log():
            program.signal(signal.SIGINT)
        if not self.is_done(program, table, 40):
            self.undone.append((arguments, table))

    def is_done(self, program, table, seconds):
        """Done, or refused for good as it may be; not: it is to be asked for again."""
        code, ended = program.wait(seconds), program.log().splitlines()[-1:]
        self.chain.tell(f"{program.name} ended with {code}: {ended}")
        told = code == DONE or re.search(r"event=ended exit=\d+ reason=\S", "".join(ended))
        assert told and code in (DONE, NOT_DONE, UNREACHABLE), program.story()
        return code == DONE or (LOG_LOST in ended[0] and table in self.chain.lossy)

    # --- when all is well ---

    def finish(self):
        """What was done now, so that all must settle once more."""
        if self.undone:
            arguments, table = self.undone.pop()
            self.must(arguments, table)
            return [f"{arguments} was done"]
        letters, handled = self.letters()
        left = set(letters) - handled
        if left:
            self.must(("--replay-dead-letters",), None)
        return [f"{len(left)} dead letters were replayed"] if left else []

    def must(self, arguments, table):
        program = self.chain.slots[0].run("consumer", arguments, **{"start.timeout": CALM_S})
        assert self.is_done(program, table, CALM_S * 2), program.story()

    # --- letters ---

    def letters(self):
        """(offset -> letter, offsets of those that are marked as handled)"""
        topic, letters, handled = f"{self.chain.bridge.prefix}-dead-letter", {}, set()
        for message in topic_check.read_messages(self.chain.parts.kafka, topic):
            letter = json.loads(message.value())
            if letter["stage"] == "handled":
                handled.add(letter["letter"]["offset"])
            else:
                letters[message.offset()] = letter
        return letters, handled

    def letter_problems(self):
        """Each is of a document that was refused, and was handled."""
        _, out = self.chain.bridge.dead_letters()
        letters, handled = self.letters()
        for offset, letter in letters.items():
            right = letter["stage"] == "consumer" and letter["table"] in self.refused and REFUSAL in letter["reason"]
            if not right or offset not in handled:
                out.append(f"a dead letter: {letter['table']} {letter['reason']}")
        return out + [f"a mark for offset {offset}, where there is no letter" for offset in handled - set(letters)]
