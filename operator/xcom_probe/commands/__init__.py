"""One file per command. Each has HELP, `arguments(parser)` and `run(args, report)`."""
