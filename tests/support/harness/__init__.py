"""The test harness: a real cluster, its tools and its images, from package registries alone."""
