"""What tests of several packages share: waiting, logs, metrics, and the types of fixtures."""
