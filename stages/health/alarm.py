"""A condition that must last before it is told, and be gone for a while before it is over."""


class Alarm:
    """Starts after `start_s` without a break of being bad, ends after `end_s` of not being so."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self.active = False
        self.starts_total = 0
        self._start_s, self._end_s = start_s, end_s
        self._since_s: float | None = None

    def update(self, bad: bool, time_s: float) -> bool:
        """The next judgement, at a time that never goes back. True: `active` has changed."""
        if bad == self.active:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        lasted_s = time_s - self._since_s
        if lasted_s < (self._end_s if self.active else self._start_s):
            return False
        self.active = bad
        self.starts_total += bad
        self._since_s = None
        return True

    def reset(self) -> bool:
        """Forget what was seen. True: it was active."""
        was, self.active, self._since_s = self.active, False, None
        return was
