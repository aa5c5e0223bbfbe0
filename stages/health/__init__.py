"""What is wrong with the pictures of a camera that is up: frozen, black, blurred, slow, damaged."""
