// Package dynamic declares the read functions of client-go's dynamic client, which Helm's `lookup` uses.
package dynamic

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Object is a Kubernetes object or a list of objects, as an untyped map.
type Object struct {
	Content map[string]any
}

// UnstructuredContent returns the map that templates see.
func (o *Object) UnstructuredContent() map[string]any { return o.Content }

// ResourceInterface reads the objects of one kind.
type ResourceInterface interface {
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*Object, error)
	List(ctx context.Context, options metav1.ListOptions) (*Object, error)
}

// NamespaceableResourceInterface is a ResourceInterface that can be narrowed to a namespace.
type NamespaceableResourceInterface interface {
	Namespace(string) ResourceInterface
	ResourceInterface
}

// Interface gives access to any kind.
type Interface interface {
	Resource(resource schema.GroupVersionResource) NamespaceableResourceInterface
}

// NewForConfig always fails: there is no network here.
func NewForConfig(*rest.Config) (Interface, error) { return nil, errors.ErrUnsupported }
