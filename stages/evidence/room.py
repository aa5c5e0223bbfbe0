"""The room on the disk of evidence, which is asked for before the path of a file is told."""

import errno
import shutil
import threading
from pathlib import Path
from typing import Final

NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
"""The `errno` of a full disk, or of a used up quota."""
_BLOCK_BYTES: Final = 4096
"""A disk gives out room in steps of about this."""


class DiskRoom:
    """The free bytes of the disk that holds `folder`, and those of them that are promised to files
    on their way. `look` blocks on the disk and is for the thread that writes; the rest never
    blocks, and is for any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._free_bytes = self._promised_bytes = 0
        self._promised: dict[str, int] = {}

    def look(self) -> None:
        """See how much is free now. Raises OSError where nobody can tell."""
        free_bytes = shutil.disk_usage(self._folder).free
        with self._lock:
            self._free_bytes = free_bytes

    def promise(self, path: str, size_bytes: int) -> bool:
        """Keep room for a file of at most about this size. False: there is not so much."""
        needed_bytes = size_bytes + _BLOCK_BYTES
        with self._lock:
            if self._promised_bytes + needed_bytes > self._free_bytes:
                return False
            self._promised[path] = needed_bytes
            self._promised_bytes += needed_bytes
            return True

    def settle(self, path: str, written_bytes: int = 0) -> None:
        """The file is written, or will not be."""
        with self._lock:
            self._promised_bytes -= self._promised.pop(path, 0)
            self._free_bytes -= written_bytes

    def exhausted(self) -> None:
        """A file did not fit, whatever the disk says is free: nothing does until the next look."""
        with self._lock:
            self._free_bytes = 0
