"""RTSP cameras of a test's own, by GStreamer: to lock, encrypt, change, freeze and kill."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.servers import INSTALL, SYSTEM_PYTHON, Server, ServiceMissing, find, free_port

SCRIPT = Path(__file__).with_name("rtsp_cameras.py")


class CameraSite(Server):
    """One process that serves cameras at `rtsp://HOST:port/NAME`."""

    def __init__(
        self,
        folder: Path,
        clips: Mapping[str, Path],
        options: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
    ) -> None:
        _require()
        port = free_port()
        self._orders = folder / "orders"
        self._given = 0
        self.host = host
        cameras = [f"{name}={path}" for name, path in clips.items()]
        command = [*prefix, SYSTEM_PYTHON, str(SCRIPT), "--port", str(port), "--address", host]
        command += ["--orders", str(self._orders), *options]
        super().__init__([*command, *cameras], port, folder, lambda server: server.said("ready"))

    def url(self, name: str, scheme: str = "rtsp") -> str:
        """The address of a camera."""
        return f"{scheme}://{self.host}:{self.port}/{name}"

    def order(self, line: str) -> None:
        """`switch NAME CLIP` or `replace NAME CLIP`: returns when it is done."""
        self._given += 1
        with self._orders.open("a") as orders:
            orders.write(f"{line}\n")
        deadline_s = time.monotonic() + 30
        while not self.said(f"done {self._given}"):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the cameras did not {line}:\n{self.log.read_text()}")
            time.sleep(0.02)


def make_certificate(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate for the host, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            find("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", key, "-out", certificate, "-subj", "/CN=camera",
            "-addext", f"subjectAltName=IP:{host}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def _require() -> None:
    if not Path(SYSTEM_PYTHON).exists():
        raise ServiceMissing(f"{SYSTEM_PYTHON} is not there, {INSTALL}")
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False).returncode:
        raise ServiceMissing(f"GStreamer's RTSP server is not installed, {INSTALL}")
