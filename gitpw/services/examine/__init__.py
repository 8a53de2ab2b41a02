"""What `git pw doctor` looks at, one subject per file: each check yields findings, and mends what it is asked to."""
