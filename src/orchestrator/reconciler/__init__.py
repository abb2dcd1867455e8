"""The one that makes it so: load, observe, plan, apply, report."""
