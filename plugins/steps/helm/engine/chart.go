package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"
)

var byteOrderMark = []byte{0xEF, 0xBB, 0xBF}

// loadChart works like Helm's directory loader, on files that are already in memory.
func loadChart(files []file) (*chart.Chart, error) {
	// Helm walks a directory in this order: by name, level by level
	slices.SortFunc(files, func(a, b file) int {
		return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
	})
	rules := ignore.Empty()
	for _, f := range files {
		if f.Path == ignore.HelmIgnore {
			parsed, err := ignore.Parse(bytes.NewReader(f.Data))
			if err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", ignore.HelmIgnore, err)
			}
			rules = parsed
		}
	}
	rules.AddDefaults()

	var kept []*archive.BufferedFile
	for _, f := range files {
		if !ignored(rules, f.Path) {
			kept = append(kept, &archive.BufferedFile{Name: f.Path, Data: bytes.TrimPrefix(f.Data, byteOrderMark)})
		}
	}
	loaded, err := loader.LoadFiles(kept)
	if err != nil {
		return nil, err
	}
	sortDependencies(loaded)
	return loaded, nil
}

// ignored reports whether a rule excludes the file or one of its parent directories.
func ignored(rules *ignore.Rules, name string) bool {
	for i, character := range name {
		if character == '/' && rules.Ignore(name[:i], fileInfo{name[:i], true}) {
			return true
		}
	}
	return rules.Ignore(name, fileInfo{name, false})
}

// sortDependencies sorts the subcharts, because Helm loads those in charts/ in random order.
func sortDependencies(c *chart.Chart) {
	dependencies := slices.Clone(c.Dependencies())
	slices.SortStableFunc(dependencies, func(a, b *chart.Chart) int { return strings.Compare(a.Name(), b.Name()) })
	c.SetDependencies(dependencies...)
	for _, dependency := range dependencies {
		sortDependencies(dependency)
	}
}

// checkInstallable rejects the same charts as Helm's commands do before they render.
func checkInstallable(c *chart.Chart) error {
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return fmt.Errorf("%s charts are not installable", kind)
	}
	var missing []string
	for _, wanted := range c.Metadata.Dependencies {
		found := slices.ContainsFunc(c.Dependencies(), func(d *chart.Chart) bool { return d.Name() == wanted.Name })
		if !found {
			missing = append(missing, wanted.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("found in Chart.yaml, but missing in charts/ directory: %s", strings.Join(missing, ", "))
	}
	return nil
}

// fileInfo gives the ignore rules the name of a path, and whether it is a directory.
type fileInfo struct {
	path      string
	directory bool
}

func (f fileInfo) Name() string       { return path.Base(f.path) }
func (f fileInfo) IsDir() bool        { return f.directory }
func (f fileInfo) Size() int64        { return 0 }
func (f fileInfo) ModTime() time.Time { return time.Time{} }
func (f fileInfo) Sys() any           { return nil }
func (f fileInfo) Mode() fs.FileMode {
	if f.directory {
		return fs.ModeDir
	}
	return 0
}
