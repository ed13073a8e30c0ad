package main

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

const notesFile = "NOTES.txt"

// render performs the steps of `helm install` up to the manifests.
//
// It does not validate values.schema.json: secret values are placeholders here, and would fail a pattern or a length.
// The check helm-values validates the real values.
func render(r *request) (*rendered, error) {
	warnings := collectWarnings()
	loaded, err := loadChart(r.Files)
	if err != nil {
		return nil, chartError(err)
	}
	if err := checkInstallable(loaded); err != nil {
		return nil, chartError(err)
	}
	if loaded.Metadata.Deprecated {
		warnings.add("this chart is deprecated")
	}
	config, err := r.Values.merge()
	if err != nil {
		return nil, valuesError(err)
	}
	if err := chartutil.ProcessDependencies(loaded, config); err != nil {
		return nil, valuesError(fmt.Errorf("chart dependencies processing failed: %w", err))
	}
	for _, line := range ignoredOrder(loaded) {
		warnings.add(line)
	}
	capabilities, err := capabilities(r)
	if err != nil {
		return nil, err
	}
	if wanted := loaded.Metadata.KubeVersion; wanted != "" &&
		!chartutil.IsCompatibleRange(wanted, capabilities.KubeVersion.String()) {
		return nil, chartError(fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s",
			wanted, capabilities.KubeVersion.Version))
	}
	options := common.ReleaseOptions{
		Name: r.Release, Namespace: r.Namespace, Revision: r.Revision,
		IsInstall: !r.IsUpgrade, IsUpgrade: r.IsUpgrade,
	}
	const skipSchema = true
	top, err := commonutil.ToRenderValuesWithSchemaValidation(loaded, config, options, capabilities, skipSchema)
	if err != nil {
		return nil, valuesError(err)
	}
	files, err := engine.RenderWithClientProvider(loaded, top, cluster{})
	if err != nil {
		return nil, templateError(loaded, err)
	}
	result := &rendered{Notes: takeNotes(loaded, files)}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, templateError(loaded, err)
	}
	for _, m := range manifests {
		result.Manifests = append(result.Manifests, manifest{Source: m.Name, Content: m.Content})
	}
	for _, h := range hooks {
		next := hook{manifest: manifest{Source: h.Path, Content: h.Manifest}, Weight: int32(h.Weight)}
		for _, event := range h.Events {
			next.Events = append(next.Events, event.String())
		}
		for _, policy := range h.DeletePolicies {
			next.DeletePolicies = append(next.DeletePolicies, string(policy))
		}
		result.Hooks = append(result.Hooks, next)
	}
	for _, definition := range loaded.CRDObjects() {
		result.Definitions = append(result.Definitions,
			manifest{Source: definition.Filename, Content: string(definition.File.Data)})
	}
	for _, document := range []struct {
		into *string
		from any
	}{{&result.Chart, loaded}, {&result.Config, config}, {&result.Effective, top["Values"]}} {
		encoded, err := json.Marshal(document.from)
		if err != nil {
			return nil, valuesError(err)
		}
		*document.into = string(encoded)
	}
	// sorted, because Helm emits some of them while it iterates over a map
	result.Warnings = slices.Sorted(slices.Values(warnings.lines))
	return result, nil
}

// capabilities are those of the request's cluster. Without API versions in the request, Helm's default set is used.
func capabilities(r *request) (*common.Capabilities, error) {
	result := common.DefaultCapabilities.Copy()
	if r.KubernetesVersion != "" {
		version, err := common.ParseKubeVersion(r.KubernetesVersion)
		if err != nil {
			return nil, fmt.Errorf("invalid kube version '%s': %w", r.KubernetesVersion, err)
		}
		result.KubeVersion = *version
	}
	if len(r.APIVersions) > 0 {
		result.APIVersions = r.APIVersions
	}
	return result, nil
}

// takeNotes removes every chart's notes from the files and returns those of the chart itself.
func takeNotes(c *chart.Chart, files map[string]string) string {
	notes := files[path.Join(c.Name(), "templates", notesFile)]
	for name := range files {
		if strings.HasSuffix(name, notesFile) {
			delete(files, name)
		}
	}
	return notes
}
