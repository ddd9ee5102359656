"""What our things are called in a Grafana."""

FOLDER = "retrigger"
SOURCE = "retrigger-prometheus"
GROUP = "retrigger"
