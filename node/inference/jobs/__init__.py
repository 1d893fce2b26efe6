"""What goes to an inference worker and what comes back: jobs, their frames, their pace."""
