// Package rest declares the type that Helm's function signatures use.
package rest

// Config would hold the address of an API server.
type Config struct{}
