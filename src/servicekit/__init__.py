"""What every HTTP program of this repository needs alike: database, problem details, request limits, logs."""
