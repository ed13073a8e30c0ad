package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"
)

// merge merges the user's values in the order of Helm's own options: files, --set-json, --set, --set-string and
// --set-file. Later values override earlier ones.
func (v *values) merge() (map[string]any, error) {
	merged := map[string]any{}
	for _, f := range v.Files {
		read, err := loader.LoadValues(strings.NewReader(f.Content))
		if err != nil {
			return nil, fmt.Errorf("failed to parse %s: %w", f.Name, err)
		}
		merged = loader.MergeMaps(merged, read)
	}
	for _, assignment := range v.SetJSON {
		trimmed := strings.TrimSpace(assignment)
		if strings.HasPrefix(trimmed, "{") {
			var read map[string]any
			if err := json.Unmarshal([]byte(trimmed), &read); err != nil {
				return nil, fmt.Errorf("failed parsing --set-json data JSON: %s", assignment)
			}
			merged = loader.MergeMaps(merged, read)
		} else if err := strvals.ParseJSON(assignment, merged); err != nil {
			return nil, fmt.Errorf("failed parsing --set-json data %s", assignment)
		}
	}
	for _, assignment := range v.Set {
		if err := strvals.ParseInto(assignment, merged); err != nil {
			return nil, fmt.Errorf("failed parsing --set data: %w", err)
		}
	}
	for _, assignment := range v.SetString {
		if err := strvals.ParseIntoString(assignment, merged); err != nil {
			return nil, fmt.Errorf("failed parsing --set-string data: %w", err)
		}
	}
	for _, f := range v.SetFile {
		// Helm would open the file after the equals sign; its data is already here
		opened := func([]rune) (any, error) { return string(f.Data), nil }
		if err := strvals.ParseIntoFile(f.Key+"=-", merged, opened); err != nil {
			return nil, fmt.Errorf("failed parsing --set-file data: %w", err)
		}
	}
	return merged, nil
}
