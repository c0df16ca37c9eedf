"""The whole platform on one machine, without installing servers."""
