"""What would be hidden of a text before it is sent to a server."""
