"""nginx with nchan, the long poll of Debian's package `libnginx-mod-nchan`.

One worker, no access log, messages in memory only: nothing of it outlives a restart, where the
relay's store does. A channel keeps one message, and as long as the relay keeps a release.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders.installs import Missing
from benchmarks.harness.client import request
from benchmarks.harness.processes import Server, free_port, serving

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
PACKAGE = "libnginx-mod-nchan"
CONFIG = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {work}/pid;
error_log stderr warn;
events {{ worker_connections {files}; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location = /empty {{ return 204; }}
        location ~ ^/subscribe/([0-9a-z-]+)$ {{
            nchan_subscriber longpoll;
            nchan_channel_id $1;
        }}
        location ~ ^/publish/([0-9a-z-]+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 1;
            nchan_message_timeout 60s;
        }}
    }}
}}
"""
FILES = 16_000


def version() -> str:
    """Return the versions of nchan and nginx. Raises Missing."""
    if not MODULE.exists() or not shutil.which("nginx"):
        raise Missing(f"nginx with nchan is not installed: apt-get install {PACKAGE}")
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    package = ["dpkg-query", "-W", "-f", "${Version}", PACKAGE]
    found = subprocess.run(package, capture_output=True, text=True, check=False).stdout
    return f"{found or 'unknown'} on nginx {re.sub('.*/', '', said.strip())}"


@contextlib.contextmanager
def nchan() -> Iterator[Server]:
    """Start nginx on a free port. Raises Missing."""
    version()
    with TemporaryDirectory(prefix="nchan-bench-") as directory:
        port, work = free_port(), Path(directory)
        (work / "nginx.conf").write_text(
            CONFIG.format(module=MODULE, files=FILES, work=work, port=port)
        )
        argv: list[str | Path] = ["nginx", "-c", work / "nginx.conf", "-e", "stderr"]
        with serving(argv, port) as server:
            yield server


def empty(server: Server) -> bytes:
    """Ask for nginx's own answer without a body, the least that a server does."""
    return request("GET", "/empty", server.port)


def subscribe(server: Server, channel: str) -> bytes:
    return request("GET", f"/subscribe/{channel}", server.port)


def publish(server: Server, channel: str, message: bytes) -> bytes:
    kind = {"Content-Type": "text/plain"}
    return request("POST", f"/publish/{channel}", server.port, kind, message)
