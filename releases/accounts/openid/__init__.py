"""A provider of sign-in (OpenID Connect): what it may be, what it says, and whether to believe it. Knows no Django."""
