"""Direct protocols between roles, both ends of each: inputs, calls, openings and models."""
