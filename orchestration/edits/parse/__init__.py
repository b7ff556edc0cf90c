"""One parser per edit format; each gives `FileEdit`s or raises MalformedEditError. None reads a file."""
