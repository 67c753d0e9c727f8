package main

// The generator's own validation is left out: it reads the schema's 64-bit maximum as a double, which overflows.
//go:generate go tool go-jsonschema --package main --tags json --struct-name-from-title --min-sized-ints --only-models --output verdict_generated.go ../../schemas/json/verdict.v2.schema.json
