"""What is in the table `xcom`, asked by SQL: complete statements and the reading of their rows."""
