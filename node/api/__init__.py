"""The local API: what apps and people see of a coordinator. Starlette on anycorn, on trio."""
