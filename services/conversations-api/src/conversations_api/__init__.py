"""The conversations API: owns the conversations in MySQL, the platform's single source of truth."""
