"""Search by meaning over the conversations."""
