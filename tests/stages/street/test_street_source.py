def test_a_stop_is_heard_while_the_street_is_being_drawn() -> None:
    source = StreetSource("street", seconds=36_000, width=320, height=180)
    drawing = threading.Thread(target=lambda: list(source.frames()), daemon=True)
    drawing.start()
    source.close()
    drawing.join(20)
    assert not drawing.is_alive()
