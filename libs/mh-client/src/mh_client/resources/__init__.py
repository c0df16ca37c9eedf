"""What can be asked, by noun. Each module describes its calls once and binds them twice: to send, and to await."""
