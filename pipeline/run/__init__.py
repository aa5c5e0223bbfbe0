"""A run: its threads, the way of the frames, and streams that come and go."""
