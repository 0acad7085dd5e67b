"""A program on a terminal of its own: what it drew there, and what stood on the screen.

Promise: the terminal's bytes are the program's log file, as they came, so that whoever reads its log sees them.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

# libmongoc puts a line of its own on standard error, before main, when a program that was killed once left behind
# the counters of the process id that this one has.
QUIET = {"MONGOC_DISABLE_SHM": "1"}
LOG_LINE = re.compile(r'time=\S+Z level=\w+ program=[\w-]+ event=("(\\.|[^"\\])*"|\S+)( \w+=("(\\.|[^"\\])*"|\S+))*')


def start(program, columns=100, term="xterm"):
    """Starts the program on a terminal of that width, which also is its standard output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program.env.update(QUIET, TERM=term)
    program.process = subprocess.Popen(
        list(map(str, program.command)),
        stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=program.env, cwd=program.log_path.parent,
    )  # fmt: skip
    os.close(slave)
    log = open(program.log_path, "ab", buffering=0)
    program.terminal = threading.Thread(target=_keep, args=(master, log))
    program.terminal.start()
    return program


def _keep(master, log):
    with log:
        while True:
            try:
                found = os.read(master, 65536)
            except OSError:  # the last who had the terminal has ended
                break
            log.write(found)
    os.close(master)


def ended(program, seconds=60):
    """The exit code, once all that it wrote is there."""
    code = program.wait(seconds)
    program.terminal.join()
    return code


def output(program):
    """All that it wrote, with each "\\r" as it came."""
    return program.log_path.read_bytes().decode(errors="replace")


def drawn(program):
    """Each state of the line that is drawn over."""
    return re.findall(r"\r([^\r\n\x1b]+)\x1b\[K", output(program))


def screen(program):
    """The lines that the terminal shows; the last one is the one that the cursor is in."""
    lines, line, column = [], "", 0
    for part in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", output(program)):
        if part == "\x1b[K":
            line = line[:column]
        elif part == "\r":
            column = 0
        elif part == "\n":
            lines.append(line)
            line, column = "", 0
        else:
            line = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [*lines, line]


def is_log_line(line):
    return LOG_LINE.fullmatch(line) is not None
