"""The checks of opened work: pure over numbers and networks, without peers or files of theirs."""
