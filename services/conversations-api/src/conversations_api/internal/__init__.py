"""Routes for the platform's own services. No gateway forwards what begins with /internal."""
