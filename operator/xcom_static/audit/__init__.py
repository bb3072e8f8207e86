"""What becomes of the values that tasks push: rules, measured effects, findings and their forms."""
