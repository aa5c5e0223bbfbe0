"""The street as a source: it can be stopped at any time."""

import threading

from stages.sources.street.source import StreetSource


def test_a_stop_is_heard_while_the_street_is_being_drawn() -> None:
    source = StreetSource("street", seconds=3600, width=320, height=180)
    drawing = threading.Thread(target=lambda: list(source.frames()), daemon=True)
    drawing.start()
    source.close()
    drawing.join(20)
    assert not drawing.is_alive()
