"""Floor 6: when changes may go: windows, freezes, locks, bookings and their conflicts."""
