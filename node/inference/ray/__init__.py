"""Workers on other hosts, through Ray."""
