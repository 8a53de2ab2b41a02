"""git pw: many workers, people and AI agents, on one repository, with nothing but a git remote."""
