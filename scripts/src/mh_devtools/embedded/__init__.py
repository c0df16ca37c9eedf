"""The whole platform on one machine, without servers to install."""
