"""What is told of finished requests to those who watch: sinks for records."""
