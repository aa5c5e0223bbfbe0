"""kafka-python as a client of the sink."""
