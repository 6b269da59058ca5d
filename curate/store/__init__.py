"""The workspace's database, and the only code that imports fiftyone."""
