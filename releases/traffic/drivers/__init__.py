"""Systems that set the weights themselves: Argo Rollouts and Flagger are asked, never written past."""
