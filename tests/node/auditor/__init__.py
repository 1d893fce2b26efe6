"""The auditor: its engine without a process, its shell with real hosts."""
