"""What the project costs beside what a user would run instead: `make bench`. Nothing here is a test."""
