"""Read what other systems already know of services, and take it over carefully."""
