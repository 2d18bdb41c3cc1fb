"""A stand-in of Spinnaker as a client of Gate sees it: Gate's words, Orca's executions, what Clouddriver does."""
