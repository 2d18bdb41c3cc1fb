"""Floor 3: durable work: outbox, operations, steps with a journal, leases and fences; rings a bell, runs handlers."""
