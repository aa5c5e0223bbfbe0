"""A network of its own behind a cable that can be cut without a word. Needs root and Linux."""

import subprocess
from types import TracebackType
from typing import Self

from tests.services.servers import ServiceMissing

_NOBODY = "02:00:00:00:00:99"


class Cable:
    """A network namespace `name`, reached at `far_end` by a pair of devices, until it is left.

    Raises `ServiceMissing` where this machine or user makes no namespaces.
    """

    near_end, far_end = "10.213.0.1", "10.213.0.2"

    def __init__(self, name: str) -> None:
        self.name = name
        commands = [
            f"ip netns add {name}",
            f"ip link add eyrie0 type veth peer name eyrie1 netns {name}",
            f"ip addr add {self.near_end}/24 dev eyrie0",
            "ip link set eyrie0 up",
            f"ip -n {name} addr add {self.far_end}/24 dev eyrie1",
            f"ip -n {name} link set eyrie1 up",
            f"ip -n {name} link set lo up",
        ]
        try:
            for command in commands:
                subprocess.run(command.split(), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self._remove(check=False)
            raise ServiceMissing(f"this machine makes no network namespaces: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove(check=True)

    def cut(self) -> None:
        """Lose every packet both ways, as a dead switch does: all go to a machine that is not
        there. Connections stay half open."""
        self._neighbours("replace", f"lladdr {_NOBODY} nud permanent")

    def mend(self) -> None:
        """Let packets through again."""
        self._neighbours("del", "")

    def _neighbours(self, verb: str, entry: str) -> None:
        for prefix, device, peer in (
            ("ip", "eyrie0", self.far_end),
            (f"ip -n {self.name}", "eyrie1", self.near_end),
        ):
            command = f"{prefix} neigh {verb} {peer} dev {device} {entry}"
            subprocess.run(command.split(), check=True)

    def _remove(self, *, check: bool) -> None:
        command = ["ip", "netns", "del", self.name]
        try:
            subprocess.run(command, check=check, capture_output=True)
        except FileNotFoundError:
            if check:
                raise
