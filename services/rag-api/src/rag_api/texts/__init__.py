"""Texts by others, before they are shown or sent on: what could pass for markup, links or our citations."""
