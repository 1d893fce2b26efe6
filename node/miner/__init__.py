"""The miner: offers models, takes the tasks that it is drawn for, and streams signed results back."""
