"""Safety: screening for risk, the notice shown for it, helplines, and advice that is never passed on."""
