"""The health of a camera's pictures while it is up: frozen, black, blurred, slow, damaged."""
