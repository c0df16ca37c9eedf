"""Who may do what: roles and their scopes, tokens, and the caller of a request. No I/O.

docs/access.md describes it for administrators, ADR 64 why it is so.
"""
