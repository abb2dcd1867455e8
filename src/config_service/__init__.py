"""The Config Service: what every team is configured to do, and with which token it says so.

An organisation is a tree: its root (the node `~`), units, teams. What holds for a team is everything from the
root down, laid over one another. `domain` decides, `store` keeps, `api` speaks HTTP, `runtime` puts them
together.
"""
