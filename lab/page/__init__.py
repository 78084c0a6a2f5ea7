"""The lab's page for browsers, and what it shows."""
