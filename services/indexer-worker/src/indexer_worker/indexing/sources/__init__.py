"""Where the units of each kind come from, a module a kind."""
