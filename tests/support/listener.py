"""A web server on loopback that listens to webhooks: it keeps what it was told and answers as a test says."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 20.0
"""Seconds to wait for what a process in the background sends."""


@dataclass(frozen=True)
class Told:
    """One request: headers by lower-case name."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The JSON document."""
        return json.loads(self.body)

    @property
    def event(self) -> str:
        """The event that it is about."""
        return str(self.data["event"])

    def signed_with(self, secret: str) -> bool:
        """Whether the signature is that of the body, as GitHub makes them."""
        expected = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(self.headers.get("x-hub-signature-256", ""), f"sha256={expected}")


@dataclass(frozen=True)
class Says:
    """An answer."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Listener:
    """A server for a `with` block; `answers` are given one after the other, the last one for ever."""

    def __init__(self, answers: Sequence[Says] = (Says(),)) -> None:
        self.answers = list(answers)
        self.told: list[Told] = []
        self._changed = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener._answer(self, Told(self.path, headers, body))

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Its address, with a secret in the path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook/s3cr3t-path"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, count: int = 1) -> list[Told]:
        """What was told, once it is that much; fails where it doesn't come."""
        until = time.monotonic() + PATIENCE
        with self._changed:
            while len(self.told) < count:
                left = until - time.monotonic()
                assert left > 0, f"told only {[(one.path, one.body) for one in self.told]}, not {count}"
                self._changed.wait(left)
            return list(self.told)

    def _answer(self, handler: BaseHTTPRequestHandler, told: Told) -> None:
        with self._changed:
            self.told.append(told)
            says = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self._changed.notify_all()
        handler.send_response(says.status)
        for name, value in says.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(says.body)))
        handler.end_headers()
        handler.wfile.write(says.body)
