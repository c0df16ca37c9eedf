"""People without an account, for whom programs act."""
