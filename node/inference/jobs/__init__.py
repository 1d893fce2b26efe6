"""Messages to an inference worker and back: jobs, their frames, their pace."""
