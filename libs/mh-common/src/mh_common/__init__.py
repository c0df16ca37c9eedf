"""Code that the services and the client share. The core (models, jobs, vector_index, errors) needs only pydantic."""
