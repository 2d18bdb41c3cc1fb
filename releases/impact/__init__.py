"""Floor 6: reach over the dependency graph, the four lenses and the risk with its factors."""
