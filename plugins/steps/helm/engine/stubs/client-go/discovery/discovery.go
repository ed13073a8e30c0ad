// Package discovery has only functions that fail: during a render, the host answers all lookups.
package discovery

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// DiscoveryClient would list the resources of an API server.
type DiscoveryClient struct{}

// NewDiscoveryClientForConfig always fails: there is no network here.
func NewDiscoveryClientForConfig(*rest.Config) (*DiscoveryClient, error) {
	return nil, errors.ErrUnsupported
}

// ServerResourcesForGroupVersion always fails: there is no network here.
func (*DiscoveryClient) ServerResourcesForGroupVersion(string) (*metav1.APIResourceList, error) {
	return nil, errors.ErrUnsupported
}
