"""Stand-ins of outside systems: real HTTP servers in their own processes, import nothing from releases."""
