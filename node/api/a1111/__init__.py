"""The dialect of AUTOMATIC1111's web UI and of Forge, as its clients speak it."""
