"""A real Kubernetes: control plane, nodes, registry, DNS, metrics and the Cluster Autoscaler."""
