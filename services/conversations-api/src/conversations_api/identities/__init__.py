"""Who accounts are at an OpenID provider."""
