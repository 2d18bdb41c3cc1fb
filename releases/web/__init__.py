"""Floor 15: the pages: htmx over server-made HTML, thin doors to the services."""
