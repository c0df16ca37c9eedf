"""Routes for the platform's own services. The gateway does not forward paths that start with /internal."""
