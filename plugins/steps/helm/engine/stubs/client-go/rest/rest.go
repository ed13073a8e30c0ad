// Package rest holds the name that Helm's signatures mention.
package rest

// Config would say how to reach an API server.
type Config struct{}
