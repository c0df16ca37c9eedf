"""Query history: users' questions, the answers they got, and their feedback."""
