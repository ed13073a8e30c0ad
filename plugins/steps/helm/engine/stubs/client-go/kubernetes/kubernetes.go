// Package kubernetes is empty: Helm imports it only so that client-go's version is known to the build.
package kubernetes
