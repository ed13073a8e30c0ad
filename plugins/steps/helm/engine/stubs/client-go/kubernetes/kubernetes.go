// Package kubernetes is empty: Helm imports it only to record client-go's version in the build.
package kubernetes
