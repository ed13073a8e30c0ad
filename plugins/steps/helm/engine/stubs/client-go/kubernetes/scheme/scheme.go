// Package scheme implements the only part of client-go's scheme that Helm uses: the list of known API versions.
package scheme

import "k8s.io/apimachinery/pkg/runtime/schema"

// Scheme replaces client-go's registry of types.
var Scheme = Registry{}

// Registry has the names of API versions without their types.
type Registry struct{}

// PrioritizedVersionsAllGroups returns the API versions in client-go's order.
func (Registry) PrioritizedVersionsAllGroups() []schema.GroupVersion {
	versions := make([]schema.GroupVersion, 0, len(known))
	for _, name := range known {
		version, err := schema.ParseGroupVersion(name)
		if err != nil {
			panic(err)
		}
		versions = append(versions, version)
	}
	return versions
}
