"""The transactional outbox: jobs for the worker, and the relay that publishes them."""
