"""External agents: coding CLIs by description, each run as a process in a folder of its own."""
