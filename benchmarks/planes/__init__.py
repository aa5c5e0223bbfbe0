"""Pictures by planes: what they cost above decoding, and whether a network finds the same."""
