"""Keys, and the guard that decides before every signature."""
