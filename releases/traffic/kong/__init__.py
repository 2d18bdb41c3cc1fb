"""Kong: the weights of the targets of an upstream, over the Admin API."""
