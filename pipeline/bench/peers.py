"""Other people's loops: folders of scripts, each with an environment of its own.

    benchmarks/peers/NAME/
      peer.toml           title, licence, what the peer is, variants with their settings
      requirements.txt    exact versions
      run.py              speaks as `pipeline.bench.process` does

Nothing here imports a peer, and no peer imports Eyrie.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import ConfigError, EyrieError

_SCRIPT, _ABOUT, _REQUIREMENTS = "run.py", "peer.toml", "requirements.txt"
_STAMP = "installed.txt"
_FEW_LINES = 3


class PeerNotInstalled(EyrieError):
    """Its environment could not be made."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A folder with a script, and where its environment is or would be."""

    name: str
    title: str
    licence: str
    folder: Path
    environment: Path
    variants: dict[str, dict[str, str]]
    """Settings by the name of the variant; the name is empty where there is but one."""

    @property
    def python(self) -> Path:
        """The interpreter that runs its script."""
        return self.environment / "bin" / "python"

    @property
    def command(self) -> tuple[str, ...]:
        return str(self.python), str(self.folder / _SCRIPT)

    @property
    def variables(self) -> dict[str, str]:
        """What its process must find: the code that peers share, and no network."""
        return {"PYTHONPATH": str(self.folder.resolve().parents[2]), **_SILENT}

    def why_absent(self) -> str | None:
        """Why it cannot be measured, in a few words; None: it can."""
        if not self.python.is_file():
            return f"no environment at {self.environment}: eyrie bench --prepare makes it"
        stamp = self.environment / _STAMP
        wanted = (self.folder / _REQUIREMENTS).read_text(encoding="utf-8")
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            return f"{self.environment} is not what its requirements say: eyrie bench --prepare"
        return None

    def prepare(self) -> None:
        """Make its environment, or bring it up to its requirements; blocks for minutes, downloads.
        Raises `PeerNotInstalled`."""
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        pip = self.folder / _REQUIREMENTS
        if uv is not None:
            make = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable]
            install = [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        else:
            make = [sys.executable, "-m", "venv"]
            install = [str(self.python), "-m", "pip", "install", "--quiet"]
        self._do([*make, str(self.environment)])
        self._do([*install, "-r", str(pip)])
        shutil.copyfile(pip, self.environment / _STAMP)

    def _do(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join(done.stderr.split("\n")[-_FEW_LINES - 1 :])
            raise PeerNotInstalled(f"peer {self.name}: {command[0]} failed: {said}")


_SILENT = {
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
    "TELEMETRY_OPT_OUT": "True",
    "METRICS_ENABLED": "False",
    "DISABLE_VERSION_CHECK": "True",
    "OFFLINE_MODE": "True",
}
"""So that no peer installs, reports, or asks for newer versions while it is measured."""


def find_peers(folder: Path, environments: Path) -> list[Peer]:
    """All in a folder, by name, or the one whose folder it is. Raises `ConfigError` where there are
    none, or one is incomplete."""
    alone = folder / _ABOUT
    abouts = [alone] if alone.is_file() else sorted(folder.glob(f"*/{_ABOUT}"))
    found = [_read(about, environments) for about in abouts]
    if not found:
        raise ConfigError("--peers", f"no peer in {folder}: each is a folder with {_ABOUT}")
    return found


def _read(about: Path, environments: Path) -> Peer:
    folder = about.parent
    for name in (_SCRIPT, _REQUIREMENTS):
        if not (folder / name).is_file():
            raise ConfigError("--peers", f"{folder} has no {name}")
    try:
        said = tomllib.loads(about.read_text(encoding="utf-8"))
        title, licence, variants = said["title"], said["licence"], said.get("variants", {"": {}})
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ConfigError("--peers", f"{about}: {error}") from None
    return Peer(folder.name, title, licence, folder, environments / folder.name, variants)


def measurable(peers: list[Peer], tell: Callable[[str], None]) -> list[Peer]:
    """Choose the peers that are installed; a line is told for each other one."""
    ready = []
    for peer in peers:
        why = peer.why_absent()
        if why is None:
            ready.append(peer)
        else:
            tell(f"{peer.title} is left out: {why}")
    return ready
