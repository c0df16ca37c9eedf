"""The platform as deployed, in local processes without Docker."""
