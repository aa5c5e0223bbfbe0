"""Live RTSP cameras into a real broker: how many, and how late."""
