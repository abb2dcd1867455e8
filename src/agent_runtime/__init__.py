"""The agent: answers a team's requests from what the team has learned, on a shared or dedicated runtime."""
