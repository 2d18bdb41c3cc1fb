"""One module per page: its frozen contexts, ready to print, and its views."""
