"""A stand-in of a Kubernetes API server with Istio's resources; answers as the recorded real one does."""
