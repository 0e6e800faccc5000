"""One file for each revision, each after the one before it. What has been released is never edited."""
