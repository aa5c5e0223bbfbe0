"""What gives way when the engine does not keep up, and how batches keep a latency target."""
