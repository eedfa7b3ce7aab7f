"""A local HTTP server that misbehaves as told: cuts, lies, stalls, changes its mind."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Resource:
    """One file of the server and how it is served; the faults are used up one request at a time."""

    data: bytes
    etag: str | None = '"one"'
    modified: float | None = None
    cut: list[int] = field(default_factory=list)
    """Bytes after which the connection is closed, a request each."""
    stall: list[int] = field(default_factory=list)
    """Bytes after which nothing more comes, a request each."""
    status: list[int] = field(default_factory=list)
    """Statuses answered before the file is served."""
    ranges: bool = True
    shift: int = 0
    """Added to the start that Content-Range tells: a lie."""
    redirect: str = ""
    length: bool = True
    content_type: str = "application/octet-stream"
    encoding: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


class Server:
    """Resources by path, below an address of this machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.resources: dict[str, Resource] = {}

    def add(self, path: str, data: bytes, **faults: object) -> str:
        """Serve ``data`` and return its address."""
        self.resources[path] = Resource(data, **faults)  # type: ignore[arg-type]
        return f"{self.address}/{path}"

    def __getitem__(self, path: str) -> Resource:
        return self.resources[path]


@contextmanager
def running() -> Iterator[Server]:
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            resource = server.resources.get(self.path.lstrip("/").split("?")[0])
            self.close_connection = True
            if resource is None:
                return self.head(404)
            resource.requests.append(dict(self.headers))
            if resource.redirect:
                return self.head(302, {"Location": resource.redirect})
            if resource.status:
                status = resource.status.pop(0)
                return self.head(status, {"Retry-After": "0"} if status in {429, 503} else {})
            return self.body(resource)

        def head(self, status: int, headers: dict[str, str] | None = None, length: int | None = 0) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()

        def body(self, resource: Resource) -> None:
            data, start = resource.data, 0
            headers = {"Content-Type": resource.content_type}
            if resource.encoding:
                headers["Content-Encoding"] = resource.encoding
            if resource.etag:
                headers["ETag"] = resource.etag
            date = formatdate(resource.modified, usegmt=True) if resource.modified else ""
            if date:
                headers["Last-Modified"] = date
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if match and resource.ranges and condition in {None, resource.etag, date}:
                start = int(match[1])
                if start >= len(data):
                    return self.head(416, {"Content-Range": f"bytes */{len(data)}"})
                told = start + resource.shift
                headers["Content-Range"] = f"bytes {told}-{len(data) - 1}/{len(data)}"
            self.head(206 if start else 200, headers, len(data) - start if resource.length else None)
            limit = resource.cut.pop(0) if resource.cut else len(data)
            stall = resource.stall.pop(0) if resource.stall else None
            body = data[start : start + (limit if stall is None else stall)]
            resource.sent.append(len(body))
            try:
                self.wfile.write(body)
                self.wfile.flush()
                if stall is not None:
                    released.wait(10)
            except OSError:
                pass  # the client has gone

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server = Server(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        released.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
