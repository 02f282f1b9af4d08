"""Jobs: Kubernetes objects that are no pipeline step."""
