"""Floor 2: the append-only, hash-chained record; sealer, witness, verify and replay."""
