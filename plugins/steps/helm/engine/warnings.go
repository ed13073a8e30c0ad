package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// warnings keeps what Helm's packages log for the user to read.
type warnings struct{ lines []string }

// collectWarnings makes the result the destination of both of Go's loggers.
func collectWarnings() *warnings {
	collected := &warnings{}
	slog.SetDefault(slog.New(collected))
	return collected
}

// add keeps a line once: Helm merges the values more than once and says it each time.
func (w *warnings) add(line string) {
	if !slices.Contains(w.lines, line) {
		w.lines = append(w.lines, line)
	}
}

// Enabled lets through the level of the older logger too: its warnings are told apart by their text.
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

// WithAttrs is required of a handler; Helm's packages log without a logger of their own.
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup is required of a handler; Helm's packages log without a logger of their own.
func (w *warnings) WithGroup(string) slog.Handler { return w }
