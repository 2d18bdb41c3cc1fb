"""Floor 14: who hears what, where and when: told once, with the reason and a link, withdrawn when it is settled."""
