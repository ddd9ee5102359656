"""From a folder or URL to whole, checked lumisections in hardware integers; what is not is waited for or quarantined."""
