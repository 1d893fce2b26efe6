"""The bootstrap peer: whom newcomers dial first, and who tells them of others."""
