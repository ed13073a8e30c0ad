// Package scheme answers the one question that Helm asks of client-go's scheme: which API versions are known.
package scheme

import "k8s.io/apimachinery/pkg/runtime/schema"

// Scheme stands for client-go's registry of types.
var Scheme = Registry{}

// Registry knows the names of API versions and nothing of their types.
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
