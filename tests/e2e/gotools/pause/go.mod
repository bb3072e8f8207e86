module xcomrollout.dev/gotools/pause

go 1.24.0
