package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// warnings collects the warnings that Helm's packages log.
type warnings struct{ lines []string }

// collectWarnings directs Go's default loggers, log and slog, to the result.
func collectWarnings() *warnings {
	collected := &warnings{}
	slog.SetDefault(slog.New(collected))
	return collected
}

// add keeps each line once: Helm merges the values more than once, and repeats its warnings.
func (w *warnings) add(line string) {
	if !slices.Contains(w.lines, line) {
		w.lines = append(w.lines, line)
	}
}

// Enabled also accepts the level of the older logger; Handle recognises its warnings by their text.
func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle keeps a record if it is a warning.
func (w *warnings) Handle(_ context.Context, record slog.Record) error {
	isWarning := record.Level >= slog.LevelWarn || strings.HasPrefix(strings.ToLower(record.Message), "warning")
	if !isWarning {
		return nil
	}
	line := strings.TrimSpace(record.Message)
	if len(line) > len("warning:") && strings.EqualFold(line[:len("warning:")], "warning:") {
		line = strings.TrimSpace(line[len("warning:"):])
	}
	record.Attrs(func(attribute slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", attribute.Key, attribute.Value)
		return true
	})
	w.add(line)
	return nil
}

// WithAttrs is part of the slog.Handler interface; Helm's packages do not use it.
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup is part of the slog.Handler interface; Helm's packages do not use it.
func (w *warnings) WithGroup(string) slog.Handler { return w }
