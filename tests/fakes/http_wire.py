"""A small threaded HTTP/1.1 server that hands out raw bytes.

Its promise: what an answer puts on the wire is exactly what the handler asked for, wrong lengths, broken
bodies and cut connections included, which is why it isn't built on http.server. One thread per connection,
connections stay open, loopback only.
"""
import gzip
import socket
import threading
import time
import zlib
from email.utils import formatdate

REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
           413: "Payload Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}
MAX_REQUEST_BYTES = 64 << 20


class Request:
    """One request as it came: `headers` has lower case names, `connection` numbers the TCP connection."""

    def __init__(self, method, target, headers, body, connection):
        self.method, self.target, self.headers = method, target, headers
        self.body, self.connection = body, connection

    @property
    def raw(self):
        return self.body

    def accepts_gzip(self):
        return "gzip" in self.headers.get("accept-encoding", "")


class Answer:
    """What to send. The fields below `body` are the ways to send it wrongly."""

    def __init__(self, status, body, headers=None):
        self.status, self.body, self.headers = status, body, dict(headers or {})
        self.clock_offset_s = 0
        self.gzip = False
        self.crc = True              # send x-amz-crc32 at all
        self.wrong_crc = False
        self.claimed_length = None   # a Content-Length that lies
        self.cut_after = None        # bytes of the whole answer, then the connection is cut
        self.drip = None             # (bytes a piece, seconds between two pieces)
        self.flood_bytes = 0         # after the body, chunked: this many bytes more
        self.close = False
        self.done = None             # called when it has been sent, or could not be


def read_request(reader, connection):
    """The next request, or None when the peer has left between two requests."""
    line = reader.readline(65536)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while True:
        line = reader.readline(65536)
        if line in (b"\r\n", b"\n", b""):
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if length > MAX_REQUEST_BYTES:
        raise ConnectionError("a request of %d bytes" % length)
    body = reader.read(length) if length else b""
    if len(body) < length:
        return None
    return Request(method, target, headers, body, connection)


def head(answer, body):
    """Status line and headers of an answer whose bytes on the wire are `body`."""
    lines = ["HTTP/1.1 %d %s" % (answer.status, REASONS.get(answer.status, "Status"))]
    headers = {"Server": "Server",
               "Date": formatdate(time.time() + answer.clock_offset_s, usegmt=True),
               "Content-Type": "application/x-amz-json-1.0"}
    if answer.flood_bytes:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(len(body) if answer.claimed_length is None
                                        else answer.claimed_length)
    headers["Connection"] = "close" if answer.close else "keep-alive"
    if answer.gzip:
        headers["Content-Encoding"] = "gzip"
    if answer.crc and "x-amz-crc32" not in answer.headers:
        crc = zlib.crc32(body)
        headers["x-amz-crc32"] = str(crc ^ 1 if answer.wrong_crc else crc)
    headers.update(answer.headers)
    lines += ["%s: %s" % pair for pair in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def cut(sock):
    """Ends a connection with a reset, so that the peer sees a cut and not an orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass  # the peer was faster
    sock.close()


def send_flood(sock, total):
    """Spaces without end in chunks: valid JSON so far, and far more than any page."""
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(total // 0x10000):
        sock.sendall(piece)
    sock.sendall(b"0\r\n\r\n")


def send_answer(sock, answer, stopping):
    """Sends it as asked; False when the connection is over after it."""
    body = gzip.compress(answer.body, 1) if answer.gzip else answer.body
    first = head(answer, body)
    if answer.flood_bytes:
        sock.sendall(first + b"%x\r\n" % len(body) + body + b"\r\n")
        send_flood(sock, answer.flood_bytes)
        return not answer.close
    if answer.cut_after is not None:
        whole = first + body
        after = len(first) + len(body) // 2 if answer.cut_after == "middle" else answer.cut_after
        sock.sendall(whole[:after])
        return False
    if answer.drip:
        sock.sendall(first)
        step, pause = answer.drip
        for at in range(0, len(body), step):
            sock.sendall(body[at:at + step])
            if stopping.wait(pause):
                return False
    elif len(body) > 65536:
        sock.sendall(first)
        sock.sendall(body)
    else:
        sock.sendall(first + body)
    return not answer.close and answer.claimed_length is None


class HttpServer:
    """Listens on 127.0.0.1; `handle(request)` gives an Answer, or None to cut the connection unanswered."""

    def __init__(self, handle, port=0):
        self.handle = handle
        self.listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.connections = {}
        self.accepted = 0
        self.refusing = False
        self.thread = threading.Thread(target=self._accept, daemon=True, name="http-accept")

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not every system lets a listener be shut down
        self.listener.close()
        self.cut_all()
        self.thread.join(5)

    def cut_all(self):
        """Cuts every connection now open."""
        with self.lock:
            socks = list(self.connections.values())
        for sock in socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # already gone

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                cut(sock)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                number = self.accepted
                self.connections[number] = sock
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        reader = sock.makefile("rb", buffering=65536)
        orderly = False
        try:
            orderly = self._serve_requests(sock, reader, number)
        except (OSError, ValueError):
            pass  # the peer cut the connection, or wrote something that isn't HTTP
        finally:
            with self.lock:
                self.connections.pop(number, None)
            reader.close()
            sock.close() if orderly else cut(sock)

    def _serve_requests(self, sock, reader, number):
        while not self.stopping.is_set():
            request = read_request(reader, number)
            if request is None:
                return True
            answer = self.handle(request)
            if answer is None:
                return False
            try:
                goes_on = send_answer(sock, answer, self.stopping)
            finally:
                if answer.done:
                    answer.done()
            if not goes_on:
                return answer.cut_after is None
        return True
