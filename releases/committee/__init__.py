"""Floor 6: who decides: policy, seats, rounds, votes and delegation."""
