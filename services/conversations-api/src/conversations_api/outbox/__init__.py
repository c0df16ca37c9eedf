"""The jobs that are owed to the worker, and the relay that delivers them."""
