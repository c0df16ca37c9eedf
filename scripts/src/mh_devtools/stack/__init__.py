"""The platform as it is deployed, in processes of this machine and without Docker."""
