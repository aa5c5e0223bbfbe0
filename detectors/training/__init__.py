"""Training: pictures with boxes to a network, on a CPU as well as on a GPU. Needs torch."""
