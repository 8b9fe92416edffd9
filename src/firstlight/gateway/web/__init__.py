"""The pages: HTML made on the server, one style sheet, one small script, nothing from anywhere else."""
