"""Model packages: the folder on disk, where they come from, and whether they fit here."""
