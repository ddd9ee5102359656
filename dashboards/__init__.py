"""Grafana dashboards written as code and committed as the JSON that the code makes."""
