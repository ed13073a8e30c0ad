package main

import (
	"fmt"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"sigs.k8s.io/yaml"
)

const subchartOrder = "helm.sh/depends-on/subcharts"

// ignoredOrder returns warnings for an order of subcharts in Chart.yaml (Helm's HIP-0025). It has no effect: the apply
// step orders objects, and does not know their charts.
func ignoredOrder(c *chart.Chart) []string {
	var warnings []string
	warn := func(field string) {
		warnings = append(warnings, fmt.Sprintf("chart %s: %s in Chart.yaml has no effect; to order objects, annotate "+
			"the first ones with helm.sh/resource-group and the later ones with helm.sh/depends-on/resource-groups",
			c.ChartFullPath(), field))
	}
	if c.Metadata.Annotations[subchartOrder] != "" {
		warn(subchartOrder)
	}
	if hasDependsOn(c) {
		warn("`depends-on` of a dependency")
	}
	for _, dependency := range c.Dependencies() {
		warnings = append(warnings, ignoredOrder(dependency)...)
	}
	return warnings
}

// hasDependsOn parses Chart.yaml again, since Helm's type for a dependency does not have the field yet.
func hasDependsOn(c *chart.Chart) bool {
	var read struct {
		Dependencies []struct {
			DependsOn any `json:"depends-on"`
		} `json:"dependencies"`
	}
	for _, file := range c.Raw {
		// cannot fail: Helm has parsed the file before
		if file.Name == chartutil.ChartfileName && yaml.Unmarshal(file.Data, &read) != nil {
			return false
		}
	}
	for _, dependency := range read.Dependencies {
		if dependency.DependsOn != nil {
			return true
		}
	}
	return false
}
