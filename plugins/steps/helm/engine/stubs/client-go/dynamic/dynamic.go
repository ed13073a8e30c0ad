// Package dynamic declares the reading half of client-go's dynamic client, through which Helm's `lookup` goes.
package dynamic

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Object is one Kubernetes object, or a list of them, without a Go type of its own.
type Object struct {
	Content map[string]any
}

// UnstructuredContent returns the object as templates see it.
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
