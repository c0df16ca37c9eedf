"""Looks at what is deployed, without Docker, a cluster or Helm: images, compose files, the chart."""
