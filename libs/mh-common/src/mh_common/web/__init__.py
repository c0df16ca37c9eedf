"""What every API of the platform shares: problem documents, health routes, request ids."""
