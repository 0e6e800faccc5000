"""Where the bytes of teams' files are: a folder, or a bucket of S3 or of what speaks like it."""
