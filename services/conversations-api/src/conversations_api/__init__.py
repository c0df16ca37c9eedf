"""The conversations API: owner of the conversations in MySQL, the platform's only truth."""
