package main

import (
	"fmt"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"sigs.k8s.io/yaml"
)

const subchartOrder = "helm.sh/depends-on/subcharts"

// unfollowedOrder tells of what charts say in Chart.yaml about the order of their subcharts (Helm's HIP-0025). The
// apply step orders objects, and knows nothing of the charts that they come from.
func unfollowedOrder(c *chart.Chart) []string {
	var said []string
	tell := func(what string) {
		said = append(said, fmt.Sprintf("chart %s: %s in Chart.yaml is not followed; to have objects wait for others, "+
			"annotate them: helm.sh/resource-group on these, helm.sh/depends-on/resource-groups on those",
			c.ChartFullPath(), what))
	}
	if c.Metadata.Annotations[subchartOrder] != "" {
		tell(subchartOrder)
	}
	if namesOrder(c) {
		tell("`depends-on` of a dependency")
	}
	for _, dependency := range c.Dependencies() {
		said = append(said, unfollowedOrder(dependency)...)
	}
	return said
}

// namesOrder reads the file once more, since Helm's type for a dependency has no such field yet.
func namesOrder(c *chart.Chart) bool {
	var read struct {
		Dependencies []struct {
			DependsOn any `json:"depends-on"`
		} `json:"dependencies"`
	}
	for _, file := range c.Raw {
		// what is malformed has been refused before
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
