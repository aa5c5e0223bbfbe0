"""One stream: connecting, decoding, and the lane in which its frames wait."""
