"""Rules of the house that a tool can check; each has a test that plants the offence and sees it caught."""
