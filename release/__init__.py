"""What is published: that the two distributions are built of the right files, and that the wheel works alone."""
