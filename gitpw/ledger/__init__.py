"""Git as the database: the only package that knows pygit2 and how the state is stored and swapped."""
