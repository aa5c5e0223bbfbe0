"""What happens to a frame, in reading order: sources, batch, tracking, zones, annotate."""
