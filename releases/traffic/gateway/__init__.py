"""The Gateway API: the weights of one rule of an HTTPRoute or GRPCRoute."""
