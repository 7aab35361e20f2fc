"""An emulated AWS on loopback, IAM enforced: the emulator's process, and a way in by https."""

import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
from botocore.session import get_session

from tests.aws.emulated.front import Front, certificate
from tests.aws.tools import TOOLS
from tests.support.ports import free_port
from tests.support.served import PATIENCE, until

PYTHON = TOOLS / "ministack" / "bin" / "python"
ACCOUNT = "123456789012"
REGION = "us-east-1"
_SERVER = Path(__file__).with_name("server.py")
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "SAM_CLI_TELEMETRY": "0",
}


class Cloud:
    """`home` is where everything of it is kept."""

    def __init__(self, home: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / "log"
        self._clients: dict[str, Any] = {}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-B", _SERVER],
                cwd=home,
                env={
                    **_CREDENTIALS,
                    "AUTH": "true",
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(port),
                    "HOME": str(home),
                    "IOT_MTLS_ENABLED": "false",
                    "MINISTACK_ACCOUNT_ID": ACCOUNT,
                    "MINISTACK_HOST": "127.0.0.1",
                    "MINISTACK_REGION": REGION,
                    "PATH": os.environ["PATH"],
                    "S3_DATA_DIR": str(home / "s3"),
                    "SFTP_ENABLED": "false",
                    "TMPDIR": str(home),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._certificate = certificate(home)
        self._front = Front(port, self._certificate)
        try:
            until(self._ready, "the emulator is ready")
        except BaseException:
            self.close()
            raise

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return "Running on" in self.log.read_text()

    def client(self, service: str) -> Any:
        """Return the test's own client, which may do everything."""
        if service not in self._clients:
            self._clients[service] = get_session().create_client(
                service,
                REGION,
                endpoint_url=self.url,
                aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            )
        return self._clients[service]

    def environment(self) -> dict[str, str]:
        """Return what an operator's commands need to find this AWS, and the relays on it."""
        return {
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "HTTPS_PROXY": self._front.proxy,
            "NO_PROXY": "",
            "SSL_CERT_FILE": str(self._certificate),
        }

    def web(self) -> httpx.Client:
        """Make a client that can call a relay here: an instance's, or a browser."""
        trusted = ssl.create_default_context(cafile=str(self._certificate))
        return httpx.Client(
            proxy=self._front.proxy, verify=trusted, timeout=PATIENCE, trust_env=False
        )

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._front.close()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
