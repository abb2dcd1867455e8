"""Runs the containers of pods as local processes."""
