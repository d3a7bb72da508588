"""The sidecar in pods of Kubernetes: added to files (`fairlead inject`) and at admission (`fairlead webhook`)."""
