"""What a miner keeps of a task so that its steps can be opened later."""
