"""Tools for the conversations database: backup, restore, check of the migrations."""
