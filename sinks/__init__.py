"""Messages out, to the world. A sink is a noun of its protocol."""
