"""What a motion gate saves, and what it costs in recall and delay."""
