"""The dialect of AI Horde's API, version 2, for pictures."""
