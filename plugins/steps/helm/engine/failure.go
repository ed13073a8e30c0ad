package main

import (
	"errors"
	"regexp"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
)

// failed is an error with a code and, if a template caused it, its location in the chart.
type failed struct {
	code     string
	location string
	err      error
}

func (f *failed) Error() string { return f.err.Error() }

func chartError(err error) error  { return &failed{code: "helm.chart.invalid", err: err} }
func valuesError(err error) error { return &failed{code: "helm.render.values", err: err} }

// templateError extracts file and line from Helm's message, as a path relative to the chart's directory.
func templateError(c *chart.Chart, err error) error {
	result := &failed{code: "helm.render.template", err: err}
	prefix := regexp.QuoteMeta(c.Name() + "/")
	place := regexp.MustCompile(prefix + `([^\s:()"]+)(:\d+)?(:\d+)?`)
	if match := place.FindStringSubmatch(err.Error()); match != nil {
		result.location = match[1] + match[2]
	}
	return result
}

func internalFailure(message string, causes ...string) *failure {
	return &failure{Code: "helm.engine.internal", Message: message, Causes: causes}
}

// describe splits Helm's message into one line and its causes, outermost first.
func describe(err error) *failure {
	result := &failure{Code: "helm.render.failed"}
	if known, ok := errors.AsType[*failed](err); ok {
		result.Code, result.Location, err = known.code, known.location, known.err
	}
	chain := chain(err)
	result.Message, result.Causes = chain[0], chain[1:]
	return result
}

func chain(err error) []string {
	var parts []string
	for err != nil {
		text := err.Error()
		inner := errors.Unwrap(err)
		if inner != nil {
			if own, found := strings.CutSuffix(text, ": "+inner.Error()); found {
				text = own
			} else {
				// the outer message contains the inner one, but not at its end
				inner = nil
			}
		}
		parts = append(parts, traces(text)...)
		err = inner
	}
	return parts
}

// traces joins the lines of each step of a template's trace. Helm indents all lines of a step except the first.
func traces(text string) []string {
	var steps []string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		trimmed := strings.TrimSuffix(strings.TrimSpace(line), ":")
		switch {
		case trimmed == "":
		case len(steps) > 0 && strings.HasPrefix(line, " "):
			steps[len(steps)-1] += ": " + trimmed
		default:
			steps = append(steps, trimmed)
		}
	}
	if len(steps) == 0 {
		return []string{text}
	}
	return steps
}
