"""A TCP proxy in front of a server that adds latency and cuts connections at exact moments.

The moments are found in the protocol, not by a clock. Over http a push is a POST to git-receive-pack; over git:// it
is what the client sends after the server has listed its refs. "Before": the server got none of it (over http the
client has sent all of it, so it can't tell this from "after"). "After": the server has answered it whole, so has
applied it and run its hooks, and the client gets nothing of the answer. While a fault is armed, each http request asks
for a connection of its own: otherwise curl sends a request again, by itself, when a connection used before dies.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

from tests.support.servers import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from tests.support.servers import Server

CHUNK = 1 << 16
LIMIT = 1 << 20
FLUSH = b"0000"
"""What a client sends when it has nothing to push."""


class Mode(Enum):
    """What happens to connections."""

    PASS = "pass"
    REFUSE = "refuse"
    HANG = "hang"


class When(Enum):
    """When a push is cut."""

    BEFORE = "before the server got it"
    AFTER = "after the server answered it"


@dataclass
class Fault:
    """Cut `times` pushes from the `nth` on, counted from when it was armed."""

    when: When
    nth: int
    times: int
    seen: int = 0

    def strikes(self) -> bool:
        """Count a push; is it one to cut?"""
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class Proxy:
    """`with Proxy(server) as proxy:` lends the same repositories on another port."""

    def __init__(self, server: Server, *, round_trip_ms: float = 0) -> None:
        self.server = server
        self.delay = round_trip_ms / 2000
        """Seconds that data takes one way."""
        self.mode = Mode.PASS
        self.fault: Fault | None = None
        self.pushes = 0
        """Pushes seen since the start."""
        self.cuts = 0
        """Pushes cut since the start."""
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def url(self, name: str) -> str:
        """The URL of the repository `name` through the proxy."""
        return self.server.url(name, port=self.port)

    def env(self) -> dict[str, str]:
        """What a client's environment needs, as the server says."""
        return self.server.env()

    def cut_before(self, nth: int = 1, times: int = 1) -> None:
        """From now on, cut the nth push (and the `times` - 1 after it) before the server got anything of it."""
        self._arm(Fault(When.BEFORE, nth, times))

    def drop_answer(self, nth: int = 1, times: int = 1) -> None:
        """From now on, cut the nth push (and the `times` - 1 after it) when the server has answered it."""
        self._arm(Fault(When.AFTER, nth, times))

    def refuse(self) -> None:
        """Reset every new connection: the server is down."""
        self.mode = Mode.REFUSE

    def hang(self) -> None:
        """Take every new connection and never say a word."""
        self.mode = Mode.HANG

    def heal(self) -> None:
        """Let everything through again."""
        self.mode, self.fault = Mode.PASS, None

    def _arm(self, fault: Fault) -> None:
        if self.server.scheme not in {"http", "git"}:
            raise ValueError(f"{self.server.scheme} is encrypted: a push can't be told from other traffic")
        self.fault = fault

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        self.server.trust(self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        listener = await asyncio.start_server(self._accept, HOST, 0, limit=LIMIT, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in a later turn of the loop

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.mode is Mode.HANG:
                await self._done.wait()
            elif self.mode is Mode.PASS:
                await self._join(reader, writer)
        finally:
            reset(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the server, and pass on; a server that is down resets the client."""
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(HOST, self.server.port, limit=LIMIT)
            kind = {"http": HttpConnection, "git": GitConnection}.get(self.server.scheme, Connection)
            try:
                await kind(self, reader, writer, far_reader, far_writer).run()
            finally:
                far_writer.transport.abort()


class Wire:
    """One direction: what is put in comes out in order, `delay` seconds later."""

    def __init__(self, writer: asyncio.StreamWriter, delay: float, first: float = 0) -> None:
        self.writer = writer
        self.delay = delay
        self.first = first  # the handshake, which a proxy can't delay: paid by the first piece of data
        self.queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()

    def put(self, data: bytes | None) -> None:
        """Send data, or None for the end."""
        due = asyncio.get_running_loop().time() + self.delay + self.first
        self.first = 0
        self.queue.put_nowait((due, data))

    async def run(self) -> None:
        """Write what was put, when it is due, until the end."""
        while True:
            due, data = await self.queue.get()
            wait = due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            if data is None:
                break
            self.writer.write(data)
            await self.writer.drain()
        if self.writer.can_write_eof():
            self.writer.write_eof()


class Connection:
    """One connection of a client, passed on as it is."""

    def __init__(
        self,
        proxy: Proxy,
        near: asyncio.StreamReader,
        near_writer: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        self.proxy = proxy
        self.near, self.far = near, far
        self.up = Wire(far_writer, proxy.delay, first=2 * proxy.delay)
        self.down = Wire(near_writer, proxy.delay)
        self.cut: When | None = None
        self.answer = b""

    async def run(self) -> None:
        """Pass on both directions until both have ended, or until the connection is cut."""
        flows = (self.ask(), self.reply(), self.up.run(), self.down.run())
        tasks = {asyncio.ensure_future(flow) for flow in flows}
        try:
            while tasks and self.cut is not When.BEFORE:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if any(task.exception() for task in done) or (self.cut and self.is_answered()):
                    break
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self.cut:
            self.proxy.cuts += 1

    async def ask(self) -> None:
        """From the client to the server."""
        while data := await self.near.read(CHUNK):
            self.up.put(data)
        self.up.put(None)

    async def reply(self) -> None:
        """From the server to the client, or nowhere once the answer is to be dropped: then until it is whole."""
        while data := await self.far.read(CHUNK):
            if not self.cut:
                self.down.put(data)
                continue
            self.answer += data
            if self.is_answered():
                return
        if not self.cut:
            self.down.put(None)

    def is_answered(self) -> bool:
        """Whether the server's answer to the push that is cut is whole."""
        return self.far.at_eof()

    def judge(self) -> None:
        """A push begins: count it, and decide what becomes of it."""
        self.proxy.pushes += 1
        fault = self.proxy.fault
        if fault and fault.strikes():
            self.cut = fault.when


class GitConnection(Connection):
    """git://: one request, the server's list of refs, then the push."""

    async def ask(self) -> None:
        """Pass on the request; what comes after it is the push."""
        size = await self.near.readexactly(4)
        request = size + await self.near.readexactly(int(size, 16) - 4)
        self.up.put(request)
        if b"git-receive-pack" in request:
            first = await self.near.readexactly(4)
            if first != FLUSH:
                self.judge()
            if self.cut is When.BEFORE:
                return
            self.up.put(first)
        await super().ask()


class HttpConnection(Connection):
    """HTTP/1.1: requests one after another; a push is a POST to git-receive-pack."""

    async def ask(self) -> None:
        """Pass on request by request, so that each one's head is seen."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await self.near.readuntil(b"\r\n\r\n")
                if is_push(head):
                    self.judge()
                if self.cut is When.BEFORE:
                    async for _ in body(self.near, head):
                        pass
                    return
                self.up.put(alone(head) if self.proxy.fault else head)
                async for piece in body(self.near, head):
                    self.up.put(piece)
        self.up.put(None)

    def is_answered(self) -> bool:
        """Whether the response has come whole."""
        return self.far.at_eof() or is_whole(self.answer)


def is_push(head: bytes) -> bool:
    """Whether a request carries a push; git asks with an empty one first when the push is large."""
    return bool(re.match(rb"POST \S*/git-receive-pack ", head)) and length(head) != len(FLUSH)


def alone(head: bytes) -> bytes:
    """The head of the same request, which now asks for the connection to be closed after it."""
    rest = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
    return rest.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def length(head: bytes) -> int | None:
    """The Content-Length of a message, in bytes."""
    found = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else None


def is_chunked(head: bytes) -> bool:
    """Whether a message's body comes in chunks."""
    return bool(re.search(rb"\r\ntransfer-encoding:\s*chunked", head, re.IGNORECASE))


async def body(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """The body that follows a request's head, raw, piece by piece."""
    left = length(head) or 0
    while left > 0:
        piece = await reader.readexactly(min(left, CHUNK))
        left -= len(piece)
        yield piece
    last = not is_chunked(head)
    while not last:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        last = size == 0
        yield line + await reader.readexactly(size + 2)


def is_whole(answer: bytes) -> bool:
    """Whether a response, of which the head and some of the body have come, has come whole."""
    head, end, rest = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.startswith(b"HTTP/1.1 1"):  # 100 Continue comes before the response
        return is_whole(rest)
    if is_chunked(head):
        return has_last_chunk(rest)
    size = length(head)
    return size is not None and len(rest) >= size


def has_last_chunk(rest: bytes) -> bool:
    """Whether a chunked body has come to its end, a chunk of no bytes."""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16) if end else -1
        if size <= 0:
            return size == 0
        rest = rest[size + 2 :]


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as a dying router does."""
    taken = writer.get_extra_info("socket")
    with suppress(OSError):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
