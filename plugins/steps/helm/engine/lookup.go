package main

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	kjson "sigs.k8s.io/json"
)

// cluster is the client for Helm's `lookup`. Its reads become questions to the Rust component.
type cluster struct{}

// GetClientFor treats every kind as namespaced; the host knows the real scope.
func (cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return reader{apiVersion: apiVersion, kind: kind}, true, nil
}

type reader struct{ apiVersion, kind, namespace string }

func (r reader) Namespace(namespace string) dynamic.ResourceInterface {
	r.namespace = namespace
	return r
}

func (r reader) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*dynamic.Object, error) {
	objects, err := r.ask(name)
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: r.kind}, name)
	}
	return &dynamic.Object{Content: objects[0]}, nil
}

func (r reader) List(context.Context, metav1.ListOptions) (*dynamic.Object, error) {
	objects, err := r.ask("")
	if err != nil {
		return nil, err
	}
	items := make([]any, len(objects))
	for i, object := range objects {
		items[i] = object
	}
	return &dynamic.Object{Content: map[string]any{
		"apiVersion": r.apiVersion, "kind": r.kind + "List", "metadata": map[string]any{}, "items": items,
	}}, nil
}

func (r reader) ask(name string) ([]map[string]any, error) {
	questions <- &lookupQuestion{APIVersion: r.apiVersion, Kind: r.kind, Namespace: r.namespace, Name: name}
	answer := <-answers
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	objects := make([]map[string]any, len(answer.Objects))
	for i, text := range answer.Objects {
		// integers are kept as integers, as in Helm's own client
		if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &objects[i]); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
