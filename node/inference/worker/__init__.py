"""The worker process: which models it holds, and what they weigh."""
